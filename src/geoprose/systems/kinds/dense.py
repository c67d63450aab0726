"""Dense systems: masks from the features of a dual encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoprose.core.errors import ConfigError
from geoprose.systems.kinds.base import SystemKind

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.systems.build import BuildOptions, System
    from geoprose.systems.spec import BaseSystemSpec
    from geoprose.systems.verify import Verification


class DenseKind(SystemKind):
    """The kind of ChangeCLIP- and SegCLIP-style systems."""

    model_type = "geoprose_dense"

    def spec_type(self) -> type[BaseSystemSpec]:
        """Return the class of its specs."""
        from geoprose.systems.specs.dense import DenseSpec

        return DenseSpec

    def config_class(self) -> Any:
        """Return the class of its transformers configs."""
        from geoprose.models.dense.config import DenseConfig

        return DenseConfig

    def model_class(self) -> Any:
        """Return the class of its models."""
        from geoprose.models.dense.model import GeoproseDense

        return GeoproseDense

    def build(self, spec: Any, options: BuildOptions) -> System[Any]:
        """Build a system; see ``build_system``."""
        from geoprose.systems.dense import build_dense

        return build_dense(spec, options)

    def tiny(self, spec: Any) -> Any:
        """Return the spec of the tiny scale; see ``SystemKind.tiny``."""
        from geoprose.systems.dense import tiny_dense_spec

        return tiny_dense_spec(spec)

    def meta_config(self, spec: Any) -> Any:
        """Return the config of a spec without a tokenizer."""
        from geoprose.systems.dense import dense_config

        return dense_config(spec)

    def after_load(self, model: Any, folder: Path) -> Any:
        """Freeze what never gets a gradient."""
        model.freeze_unused()
        return model

    def verify(self, system: System[Any], seed: int) -> Verification:
        """Refuse: transformers has no class of these systems.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(f"{system.spec.name} has no transformers class to compare with; {system.spec.proof}")
