"""What a kind of system must offer. Importing a kind imports no torch; its methods do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from geoprose.core.errors import ConfigError

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
    def tiny(self, spec: Any) -> Any:
        """Return a spec with every part shrunk and no pretrained weights, as ``scale="tiny"`` builds it."""

    @abstractmethod
    def meta_config(self, spec: Any) -> Any:
        """Return the config of a spec without a tokenizer, to build at published size without memory."""

    def adopt(self, spec: Any, tokenizer: Any, theirs: Any) -> System[Any]:
        """Return a system whose weights are still to be filled in, for an imported checkpoint.

        Args:
            spec: The preset with what the released config changes.
            tokenizer: The checkpoint's tokenizer.
            theirs: The released config.

        Raises:
            ConfigError: If this kind of system cannot be imported.
        """
        raise ConfigError(f"System {spec.name} is of kind {spec.kind}, for which no checkpoint is released to import.")

    def after_load(self, model: Any, folder: Path) -> Any:
        """Return the model that was loaded from ``folder`` with what is not in its weights."""
        return model

    @abstractmethod
    def verify(self, system: System[Any], seed: int) -> Verification:
        """Compare a tiny system of random weights with its reference class."""
