"""A dense spec to a model and a processor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from geoprose.core.spec import merge
from geoprose.models.dense.config import DenseConfig
from geoprose.models.dense.model import GeoproseDense
from geoprose.processing.dense import DenseProcessor
from geoprose.systems.build import BuildOptions, System
from geoprose.systems.dual_encoder import (
    assign_strictly,
    picture_processor,
    published_weights,
    text_options,
    text_tokenizer,
    tiny_text_tokenizer,
    tiny_text_values,
    tiny_towers,
    tower_configs,
    weights_folder,
)
from geoprose.systems.specs.dense import DenseSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOWER_PARTS = ("vision.", "text.", "vision_projection.", "text_projection.")


def build_dense(spec: DenseSpec, options: BuildOptions) -> System[DenseSpec]:
    """Build a dense system; see ``build_system``. The head is always new.

    Raises:
        ConfigError: If pretrained weights are wanted and the preset names none.
        ResourceError: If they are not on this machine.
        ModelError: If they do not fit the preset.
    """
    is_tiny = options.scale == "tiny"
    spec = tiny_dense_spec(spec) if is_tiny else spec
    tokenizer: Any = tiny_text_tokenizer() if is_tiny else text_tokenizer(spec)
    config = dense_config(spec, tiny_text_values(tokenizer) if is_tiny else None)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        model = GeoproseDense(config)
    if options.weights:
        state = published_weights(spec, config)
        towers = {name: value for name, value in state.items() if name.startswith(_TOWER_PARTS)}
        head = {f"head.{name}": value for name, value in model.head.state_dict().items()}
        assign_strictly(model, {**towers, **head}, weights_folder(spec))
    model.freeze_unused()
    processor = DenseProcessor(
        picture_processor(spec),
        tokenizer,
        num_dates=model.head.num_dates,
        prompts=spec.prompts,
        **text_options(spec),
    )
    return System(spec, model.to(options.dtype).eval(), processor)


def dense_config(spec: DenseSpec, text_values: Mapping[str, Any] | None = None) -> DenseConfig:
    """Generate the config of a dense system; see ``dual_config``."""
    return DenseConfig(
        **tower_configs(spec, text_values),
        embedding_dim=spec.embedding_dim,
        layers=list(spec.layers),
        head=spec.head.as_config(),
        system=spec.model_dump(mode="json"),
    )


def tiny_dense_spec(spec: DenseSpec) -> DenseSpec:
    """Return the spec of the tiny scale."""
    values = tiny_towers(spec)
    values["embedding_dim"] = 24
    values["layers"] = [1, 1, 2, 2]
    values["head"]["channels"] = 16
    return DenseSpec.model_validate(merge(values, spec.tiny))
