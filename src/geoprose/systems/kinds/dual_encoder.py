"""Dual encoders: a vision tower and a text tower in one space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoprose.systems.kinds.base import SystemKind

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.systems.build import BuildOptions, System
    from geoprose.systems.spec import BaseSystemSpec
    from geoprose.systems.verify import Verification


class DualEncoderKind(SystemKind):
    """The kind of CLIP and its relatives."""

    model_type = "geoprose_dual_encoder"

    def spec_type(self) -> type[BaseSystemSpec]:
        """Return the class of its specs."""
        from geoprose.systems.specs.dual import DualEncoderSpec

        return DualEncoderSpec

    def config_class(self) -> Any:
        """Return the class of its transformers configs."""
        from geoprose.models.dual.config import DualEncoderConfig

        return DualEncoderConfig

    def model_class(self) -> Any:
        """Return the class of its models."""
        from geoprose.models.dual.model import GeoproseDualEncoder

        return GeoproseDualEncoder

    def build(self, spec: Any, options: BuildOptions) -> System[Any]:
        """Build a system; see ``build_system``."""
        from geoprose.systems.dual_encoder import build_dual_encoder

        return build_dual_encoder(spec, options)

    def tiny(self, spec: Any) -> Any:
        """Return the spec of the tiny scale; see ``SystemKind.tiny``."""
        from geoprose.systems.dual_encoder import tiny_dual_spec

        return tiny_dual_spec(spec)

    def meta_config(self, spec: Any) -> Any:
        """Return the config of a spec without a tokenizer."""
        from geoprose.systems.dual_encoder import dual_config

        return dual_config(spec)

    def adopt(self, spec: Any, tokenizer: Any, theirs: Any) -> System[Any]:
        """Return a system whose weights are still to be filled in; see ``SystemKind.adopt``."""
        from geoprose.systems.dual_encoder import empty_dual_encoder

        return empty_dual_encoder(spec, tokenizer)

    def after_load(self, model: Any, folder: Path) -> Any:
        """Freeze what never gets a gradient."""
        model.freeze_unused()
        return model

    def verify(self, system: System[Any], seed: int) -> Verification:
        """Compare a tiny system of random weights with its reference class."""
        from geoprose.systems.dual_verify import verify_dual_encoder

        return verify_dual_encoder(system, seed)
