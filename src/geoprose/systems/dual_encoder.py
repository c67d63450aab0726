"""A dual-encoder spec to a model and a processor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.initialization import no_init_weights

from geoprose.core.errors import ConfigError, ModelError, ResourceError
from geoprose.core.spec import merge
from geoprose.models.dual.config import DualEncoderConfig
from geoprose.models.dual.model import GeoproseDualEncoder
from geoprose.models.dual.towers import VisionTower
from geoprose.models.parts.encoders.position_table import resize_position_table
from geoprose.models.registries import TEXT_TOWERS, VISION_TOWERS
from geoprose.processing.dual import DualEncoderProcessor
from geoprose.processing.image_processor import GeoproseImageProcessor
from geoprose.systems.build import BuildOptions, System
from geoprose.systems.hf_config import known_values, sub_config
from geoprose.systems.interop import REFERENCES
from geoprose.systems.pretrained import weights_dir
from geoprose.systems.specs.dual import DualEncoderSpec
from geoprose.systems.tiny import tiny_tokenizer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from geoprose.models.dual.towers import Tower
    from geoprose.systems.specs.dense import DenseSpec

_TINY = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
_TINY_LENGTH = 40


def build_dual_encoder(spec: DualEncoderSpec, options: BuildOptions) -> System[DualEncoderSpec]:
    """Build a dual encoder; see ``build_system``.

    Raises:
        ConfigError: If pretrained weights are wanted and the preset names none.
        ResourceError: If they are not on this machine.
        ModelError: If they do not fit the preset.
    """
    is_tiny = options.scale == "tiny"
    spec = tiny_dual_spec(spec) if is_tiny else spec
    tokenizer: Any = tiny_text_tokenizer() if is_tiny else text_tokenizer(spec)
    values = tiny_text_values(tokenizer) if is_tiny else {}
    config = dual_config(spec, values)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        model = GeoproseDualEncoder(config)
    if options.weights:
        load_dual_weights(model, spec)
        model.freeze_unused()
    return System(spec, model.to(options.dtype).eval(), dual_processor(spec, tokenizer))


def empty_dual_encoder(spec: DualEncoderSpec, tokenizer: Any) -> System[DualEncoderSpec]:
    """Return a dual encoder whose weights are still to be filled in."""
    with no_init_weights():
        model = GeoproseDualEncoder(dual_config(spec))
    return System(spec, model.eval(), dual_processor(spec, tokenizer))


def dual_config(spec: DualEncoderSpec, text_values: Mapping[str, Any] | None = None) -> DualEncoderConfig:
    """Generate the config of a dual encoder.

    Args:
        spec: The system.
        text_values: What the tokenizer at hand changes in the text tower's config.

    Raises:
        ConfigError: If transformers refuses the values of a tower.
    """
    return DualEncoderConfig(
        **tower_configs(spec, text_values),
        projection=spec.projection.model_dump(mode="json"),
        logits=spec.logits.model_dump(mode="json"),
        system=spec.model_dump(mode="json"),
    )


def tower_configs(spec: DualEncoderSpec | DenseSpec, text_values: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return what the transformers config says about the two towers.

    Raises:
        ConfigError: If transformers refuses the values of a tower.
    """
    vision, text = spec.vision_encoder, spec.text_encoder
    vision_values = {**vision.config, "image_size": spec.resolution.image_size}
    vision_type = VISION_TOWERS.get(vision.type).model_type
    text_type = TEXT_TOWERS.get(text.type).model_type
    return {
        "vision_config": sub_config(vision_type, vision_values, "vision_encoder"),
        "text_config": sub_config(text_type, {**text.config, **(text_values or {})}, "text_encoder"),
        "vision": vision.as_config(),
        "text": text.as_config(),
    }


def dual_processor(spec: DualEncoderSpec, tokenizer: Any) -> DualEncoderProcessor:
    """Build the processor of a dual encoder."""
    return DualEncoderProcessor(picture_processor(spec), tokenizer, **text_options(spec))


def picture_processor(spec: DualEncoderSpec | DenseSpec) -> GeoproseImageProcessor:
    """Build the part of the processor that reads pictures."""
    resolution = spec.resolution
    return GeoproseImageProcessor(
        resolution=resolution.as_config(),
        resample=resolution.resample,
        image_mean=resolution.image_mean,
        image_std=resolution.image_std,
    )


def text_options(spec: DualEncoderSpec | DenseSpec) -> dict[str, Any]:
    """Return how the processor prepares text."""
    names = ("max_length", "padding", "use_mask", "lowercase")
    return {name: getattr(spec.text_encoder, name) for name in names}


def tiny_towers(spec: DualEncoderSpec | DenseSpec) -> dict[str, Any]:
    """Return spec values with both towers shrunk and no pretrained weights; a tile has four patches along each edge."""
    values: dict[str, Any] = spec.model_dump(mode="json")
    for part, towers in ((values["vision_encoder"], VISION_TOWERS), (values["text_encoder"], TEXT_TOWERS)):
        known = known_values(towers.get(part["type"]).model_type)
        part["config"].update({name: value for name, value in _TINY.items() if name in known})
        part["weights"] = None
    text = values["text_encoder"]
    text["config"]["max_position_embeddings"] = text["max_length"] = _TINY_LENGTH
    if "projection_size" in text["config"]:
        text["config"]["projection_size"] = _TINY["hidden_size"]
    values["weights"] = None
    values["resolution"]["image_size"] = 4 * values["vision_encoder"]["config"]["patch_size"]
    return values


def tiny_dual_spec(spec: DualEncoderSpec) -> DualEncoderSpec:
    """Return the spec of the tiny scale."""
    values = tiny_towers(spec)
    if values["projection"]["dim"]:
        values["projection"]["dim"] = 24
    return DualEncoderSpec.model_validate(merge(values, spec.tiny))


def tiny_text_tokenizer() -> PreTrainedTokenizerFast:
    """Return the byte tokenizer that frames each text, as the tokenizers of text towers do."""
    tokenizer = tiny_tokenizer()
    start, end = tokenizer.bos_token, tokenizer.eos_token
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{start} $A {end}", special_tokens=[(start, tokenizer.bos_token_id), (end, tokenizer.eos_token_id)]
    )
    tokenizer.padding_side = "right"
    return tokenizer


def tiny_text_values(tokenizer: Any) -> dict[str, Any]:
    """Return what the tiny tokenizer changes in the config of a text tower."""
    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    return {"vocab_size": len(tokenizer), **{name: getattr(tokenizer, name) for name in names}}


def text_tokenizer(spec: DualEncoderSpec | DenseSpec) -> Any:
    """Return the tokenizer that belongs to the text tower's weights.

    Raises:
        ConfigError: If the preset names no weights.
        ResourceError: If the tokenizer cannot be read.
    """
    folder = weights_folder(spec) if spec.weights else weights_dir(spec.text_encoder.weights, "text_encoder")
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, ImportError) as error:
        raise ResourceError(f"{folder} holds no tokenizer that can be read: {error}") from error


def weights_folder(spec: DualEncoderSpec | DenseSpec) -> Path:
    """Return the folder of the weights of both towers.

    Raises:
        ConfigError: If the preset names none.
        ResourceError: If they are not on this machine.
    """
    if spec.weights is not None and spec.weights.path is not None:
        # Why not weights_dir: a folder of another layout (open_clip) has no transformers config.
        folder = Path(spec.weights.path).expanduser()
        if not folder.is_dir():
            raise ResourceError(f"weights.path {folder} is no folder.")
        return folder
    return weights_dir(spec.weights, "dual encoder")


def load_dual_weights(model: GeoproseDualEncoder, spec: DualEncoderSpec) -> None:
    """Put pretrained weights into a dual encoder, strictly.

    Raises:
        ConfigError: If the preset names none, or not their layout.
        ResourceError: If they are not on this machine.
        ModelError: If one is missing, unexpected or of another shape.
    """
    if spec.weights is None:
        load_tower(model.vision, weights_dir(spec.vision_encoder.weights, "vision_encoder"))
        load_tower(model.text, weights_dir(spec.text_encoder.weights, "text_encoder"))
        return
    assign_strictly(model, published_weights(spec, model.config), weights_folder(spec))


def load_tower(tower: Tower, folder: Path) -> None:
    """Put pretrained weights into one tower; the positions of a vision tower are brought to its grid.

    Raises:
        ModelError: If one is missing, unexpected or of another shape.
    """
    state = type(tower.model).from_pretrained(folder, local_files_only=True, use_safetensors=True).state_dict()
    if isinstance(tower, VisionTower) and (table := tower.position_table) in state:
        state[table] = resize_position_table(state[table], tower.num_prefix, tower.grid_side())
    assign_strictly(tower.model, state, folder)


def published_weights(spec: DualEncoderSpec | DenseSpec, config: Any) -> dict[str, Tensor]:
    """Return the weights of a published dual encoder under the names of ours.

    Raises:
        ConfigError: If the preset does not say how they are laid out.
        ResourceError: If they are not on this machine.
        ModelError: If one has a name that the layout does not know.
    """
    layout = spec.weights_layout or spec.reference
    if layout is None:
        raise ConfigError(f"{spec.name} names weights but no weights_layout, so their names cannot be read.")
    reference: Any = REFERENCES.get(layout)()
    state, _ = reference.key_map(config).to_ours(reference.published_state(weights_folder(spec)))
    return dict(state)


def assign_strictly(module: torch.nn.Module, state: Mapping[str, Tensor], folder: Path) -> None:
    """Put weights into a module.

    Raises:
        ModelError: If one is missing, unexpected or of another shape.
    """
    try:
        module.load_state_dict(dict(state), strict=True)
    except RuntimeError as error:
        raise ModelError(f"The weights in {folder} do not fit the preset: {error}") from error
