"""The original LLaVA repository layout, in which GeoChat was released.

``config.json`` of a Llama with ``mm_*`` keys; the language model in safetensors or ``pytorch_model*.bin``; the
projector among them or in ``mm_projector.bin``; the vision tower as a reference to a CLIP folder, or among the weights.
Pickled files are read with torch's restricted unpickler (``weights_only=True``), which builds tensors and nothing else.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from transformers.initialization import no_init_weights

from geoprose.core.errors import ConfigError, ResourceError
from geoprose.core.spec import merge, validate
from geoprose.models.composite import GeoproseForConditionalGeneration
from geoprose.systems.build import finish_system, prepare_tokenizer
from geoprose.systems.hf_config import hf_config
from geoprose.systems.interop.base import untied
from geoprose.systems.interop.key_map import KeyMap, Rename
from geoprose.systems.load import read_json, refuse_code_in
from geoprose.systems.presets import load_preset
from geoprose.systems.pretrained import load_tokenizer_from, load_vision_encoder
from geoprose.systems.released_files import read_pickled, read_weights
from geoprose.systems.spec import SystemSpec
from geoprose.systems.transfer import Imported, check_state, grow_vocabulary

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import Tensor

_VISION = "model.vision_encoder."
_LLAMA_KEYS = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "max_position_embeddings",
    "rms_norm_eps",
    "vocab_size",
)
KEY_MAP = KeyMap(
    [
        Rename("model.connector.layers.{n}.{rest}", "model.mm_projector.{n}.{rest}"),
        Rename("model.vision_encoder.tower.{rest}", "model.vision_tower.vision_tower.vision_model.{rest}"),
        Rename("lm_head.{rest}", "lm_head.{rest}"),
        Rename("model.language_model.{rest}", "model.{rest}"),
    ],
    theirs_only=(
        "model.layers.{n}.self_attn.rotary_emb.inv_freq",
        "model.vision_tower.vision_tower.vision_model.embeddings.position_ids",
    ),
)


def is_llava_layout(folder: Path) -> bool:
    """Tell whether ``config.json`` is one of the original LLaVA code (it names a projector type or a vision tower)."""
    try:
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(values, dict) and "mm_vision_tower" in values


def import_llava_layout(
    folder: Path, vision_dir: Path | None, preset: str = "geochat", dtype: torch.dtype | None = None
) -> Imported:
    """Read a checkpoint in the original LLaVA layout.

    Args:
        folder: The checkpoint.
        vision_dir: Folder of the CLIP vision tower in transformers' layout; needed when the checkpoint holds no tower.
        preset: The preset whose resolution, prompt and box format it has.
        dtype: Dtype to load in; that of the files by default.

    Raises:
        ResourceError: If a file is missing, or the tower is neither in the checkpoint nor given.
        ConfigError: If the projector is of a kind that the preset does not have.
        ModelError: If a weight is missing, unexpected or of another shape, or a file is no plain file of tensors.
    """
    refuse_code_in(folder)
    values = read_json(folder / "config.json")
    spec = _spec(values, preset)
    state, left_out = KEY_MAP.to_ours(_named(_weights(folder)))
    tokenizer = prepare_tokenizer(load_tokenizer_from(folder), spec)
    config = hf_config(spec, len(tokenizer), tokenizer.convert_tokens_to_ids(spec.prompt.image_token), {})
    with no_init_weights():
        model: Any = GeoproseForConditionalGeneration(config)
    grow_vocabulary(state, config.get_text_config().vocab_size)
    has_tower = any(name.startswith(_VISION) for name in state)
    expected = {name: tensor for name, tensor in untied(model).items() if has_tower or not name.startswith(_VISION)}
    check_state(state, expected, folder)
    model.load_state_dict(state, strict=False, assign=True)
    if not has_tower:
        if vision_dir is None:
            raise ResourceError(
                f"{folder} holds no vision tower; it names {values['mm_vision_tower']!r}. "
                "Give its folder with --vision."
            )
        load_vision_encoder(model, spec.vision_encoder, vision_dir)
    model = model.to(dtype or model.lm_head.weight.dtype)
    return Imported(finish_system(spec, model, tokenizer), tuple(left_out))


def _spec(values: dict[str, Any], preset: str) -> SystemSpec:
    base = load_preset(preset)
    kind = values.get("mm_projector_type", "linear")
    depth = 1 if kind == "linear" else 2
    if kind not in ("linear", "mlp2x_gelu"):
        raise ConfigError(f"mm_projector_type {kind!r} is not known; linear and mlp2x_gelu are.")
    changes: dict[str, Any] = {
        "connector": {"type": "mlp", "depth": depth, "activation": "gelu"},
        "language_model": {"config": {key: values[key] for key in _LLAMA_KEYS if key in values}},
        "vision_encoder": {"feature_layer": values.get("mm_vision_select_layer", -2)},
    }
    return validate(SystemSpec, merge(base.model_dump(mode="json"), changes), f"preset {preset!r} with the checkpoint")


def _weights(folder: Path) -> dict[str, Tensor]:
    state = read_weights(folder)
    projector = folder / "mm_projector.bin"
    return state | (read_pickled(projector) if projector.is_file() else {})


def _named(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Bring the projector's names to those of the whole model; ``mm_projector.bin`` comes with several prefixes."""
    return {
        (f"model.mm_projector.{name.split('mm_projector.')[1]}" if "mm_projector." in name else name): tensor
        for name, tensor in state.items()
    }
