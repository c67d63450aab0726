"""Composites: a vision encoder, a connector and a language model that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoprose.systems.kinds.base import SystemKind

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.systems.build import BuildOptions, System
    from geoprose.systems.spec import BaseSystemSpec
    from geoprose.systems.verify import Verification


class CompositeKind(SystemKind):
    """The kind of every preset that answers in words."""

    model_type = "geoprose"

    def spec_type(self) -> type[BaseSystemSpec]:
        """Return the class of its specs."""
        from geoprose.systems.spec import SystemSpec

        return SystemSpec

    def config_class(self) -> Any:
        """Return the class of its transformers configs."""
        from geoprose.models.config import GeoproseConfig

        return GeoproseConfig

    def model_class(self) -> Any:
        """Return the class of its models."""
        from geoprose.models.composite import GeoproseForConditionalGeneration

        return GeoproseForConditionalGeneration

    def build(self, spec: Any, options: BuildOptions) -> System[Any]:
        """Build a system; see ``build_system``."""
        from geoprose.systems.build import build_composite

        return build_composite(spec, options)

    def tiny(self, spec: Any) -> Any:
        """Return the spec of the tiny scale; see ``SystemKind.tiny``."""
        from geoprose.systems.tiny import tiny_spec

        return tiny_spec(spec)

    def meta_config(self, spec: Any) -> Any:
        """Return the config of a spec without a tokenizer."""
        from geoprose.systems.hf_config import meta_config

        return meta_config(spec)

    def adopt(self, spec: Any, tokenizer: Any, theirs: Any) -> System[Any]:
        """Return a system whose weights are still to be filled in; see ``SystemKind.adopt``."""
        from geoprose.systems.build import empty_composite

        return empty_composite(spec, tokenizer, theirs.get_text_config())

    def after_load(self, model: Any, folder: Path) -> Any:
        """Freeze what never gets a gradient and read the generation config."""
        from transformers import GenerationConfig

        model.model.vision_encoder.freeze_unused()
        if model.model.branches is not None:
            model.model.branches.freeze_unused()
        if (folder / "generation_config.json").is_file():
            model.generation_config = GenerationConfig.from_pretrained(folder, local_files_only=True)
        return model

    def verify(self, system: System[Any], seed: int) -> Verification:
        """Compare a tiny system of random weights with its reference class."""
        from geoprose.systems.verify import verify_composite

        return verify_composite(system, seed)
