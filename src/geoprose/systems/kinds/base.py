"""What a kind of system must offer. Importing a kind imports no torch; its methods do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.systems.build import BuildOptions, System
    from geoprose.systems.spec import BaseSystemSpec
    from geoprose.systems.verify import Verification


class SystemKind(ABC):
    """One kind of system.

    Attributes:
        model_type: transformers model type of its saved configs.
    """

    model_type: ClassVar[str]

    @abstractmethod
    def spec_type(self) -> type[BaseSystemSpec]:
        """Return the class of its specs."""

    @abstractmethod
    def config_class(self) -> Any:
        """Return the class of its transformers configs."""

    @abstractmethod
    def model_class(self) -> Any:
        """Return the class of its models."""

    @abstractmethod
    def build(self, spec: Any, options: BuildOptions) -> System[Any]:
        """Build a system from a spec of ``spec_type``; see ``build_system``."""

    @abstractmethod
    def meta_config(self, spec: Any) -> Any:
        """Return the config of a spec without a tokenizer, to build at published size without memory."""

    def after_load(self, model: Any, folder: Path) -> Any:
        """Return the model that was loaded from ``folder`` with what is not in its weights."""
        return model

    @abstractmethod
    def verify(self, system: System[Any], seed: int) -> Verification:
        """Compare a tiny system of random weights with its reference class."""
