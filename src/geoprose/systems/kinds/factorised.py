"""Factorised encoders: several sensors and dates to features of every cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoprose.core.errors import ConfigError
from geoprose.systems.kinds.base import SystemKind

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.systems.build import BuildOptions, System
    from geoprose.systems.spec import BaseSystemSpec
    from geoprose.systems.verify import Verification


class FactorisedKind(SystemKind):
    """The kind of SkySense-style encoders."""

    model_type = "geoprose_factorised"

    def spec_type(self) -> type[BaseSystemSpec]:
        """Return the class of its specs."""
        from geoprose.systems.specs.factorised import FactorisedSpec

        return FactorisedSpec

    def config_class(self) -> Any:
        """Return the class of its transformers configs."""
        from geoprose.models.factorised.config import FactorisedConfig

        return FactorisedConfig

    def model_class(self) -> Any:
        """Return the class of its models."""
        from geoprose.models.factorised.model import GeoproseFactorisedEncoder

        return GeoproseFactorisedEncoder

    def build(self, spec: Any, options: BuildOptions) -> System[Any]:
        """Build a system; see ``build_system``."""
        from geoprose.systems.factorised import build_factorised

        return build_factorised(spec, options)

    def tiny(self, spec: Any) -> Any:
        """Return the spec of the tiny scale; see ``SystemKind.tiny``."""
        from geoprose.systems.factorised import tiny_factorised_spec

        return tiny_factorised_spec(spec)

    def meta_config(self, spec: Any) -> Any:
        """Return the config of a spec without a tokenizer."""
        from geoprose.systems.factorised import factorised_config

        return factorised_config(spec)

    def after_load(self, model: Any, folder: Path) -> Any:
        """Freeze what never gets a gradient, and bring tables that are not saved to the dtype of the weights."""
        model.freeze_unused()
        return model.to(model.dtype)

    def verify(self, system: System[Any], seed: int) -> Verification:
        """Refuse: transformers has no class of these systems.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(f"{system.spec.name} has no transformers class to compare with; {system.spec.proof}")
