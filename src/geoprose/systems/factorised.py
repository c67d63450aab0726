"""A factorised spec to a model and a processor."""

from __future__ import annotations

from typing import Any

import torch

from geoprose.core.errors import ConfigError
from geoprose.core.spec import merge
from geoprose.models.factorised.config import FactorisedConfig
from geoprose.models.factorised.model import GeoproseFactorisedEncoder
from geoprose.processing.multi_source import MultiSourceProcessor
from geoprose.systems.build import BuildOptions, System
from geoprose.systems.specs.factorised import FactorisedSpec

_TINY_ENCODERS: dict[str, dict[str, Any]] = {
    "swinv2": {"embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 2, "patch_size": 4},
    "vit": {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2},
}


def build_factorised(spec: FactorisedSpec, options: BuildOptions) -> System[FactorisedSpec]:
    """Build a factorised encoder; see ``build_system``.

    Raises:
        ConfigError: If pretrained weights are wanted: the published ones have another layout.
    """
    if options.weights:
        raise ConfigError(f"{spec.name} names no weights that can be read here; build with weights=False.")
    spec = tiny_factorised_spec(spec) if options.scale == "tiny" else spec
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        model = GeoproseFactorisedEncoder(factorised_config(spec))
    return System(spec, model.to(options.dtype).eval(), _processor(spec))


def factorised_config(spec: FactorisedSpec) -> FactorisedConfig:
    """Generate the config of a factorised encoder."""
    modalities = {
        name: {
            "model_type": item.type,
            "config": {**item.config, "num_channels": item.num_bands, "image_size": item.image_size},
            "upscale": item.upscale,
        }
        for name, item in spec.modalities.items()
    }
    return FactorisedConfig(
        modalities=modalities,
        fusion=spec.fusion.model_dump(mode="json"),
        calendar_days=spec.calendar_days,
        geo_context=None if spec.geo_context is None else spec.geo_context.model_dump(mode="json"),
        system=spec.model_dump(mode="json"),
    )


def tiny_factorised_spec(spec: FactorisedSpec) -> FactorisedSpec:
    """Return the spec with every part shrunk; the common grid has four cells along each edge."""
    values: dict[str, Any] = spec.model_dump(mode="json")
    for item in values["modalities"].values():
        item["config"].update(_TINY_ENCODERS[item["type"]])
        cell_px = 8 if item["type"] == "swinv2" else item["config"]["patch_size"]
        item["image_size"], item["upscale"] = (4 * cell_px, 1) if item["upscale"] == 1 else (2 * cell_px, 2)
    values["fusion"] = {"input_dim": 16, "width": 12, "num_layers": 2, "num_heads": 2}
    if values["geo_context"]:
        values["geo_context"].update(num_regions=3, num_prototypes=4)
    return FactorisedSpec.model_validate(merge(values, spec.tiny))


def _processor(spec: FactorisedSpec) -> MultiSourceProcessor:
    return MultiSourceProcessor(
        {
            name: {
                "num_bands": item.num_bands,
                "image_size": item.image_size,
                "mean": list(item.mean or [0.0] * item.num_bands),
                "std": list(item.std or [1.0] * item.num_bands),
            }
            for name, item in spec.modalities.items()
        }
    )
