"""Tiny checkpoints in the layouts of releases that transformers has no class for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file

from geoprose.systems.build import build_system
from geoprose.systems.interop.released import LAYOUTS
from geoprose.systems.presets import load_preset

if TYPE_CHECKING:
    from pathlib import Path

PRESETS = {
    "cogvlm2": ("cogvlm2", ["tiny.connector.hidden_size=64"]),
    "deepseek_vl2": ("deepseek-vl2", ["tiny.language_model.config.num_hidden_layers=3"]),
    "phi3_vision": ("phi-3-vision", []),
    "qwen_vl": ("qwen-vl", []),
}
"""Preset of each layout, and what makes its tiny copy as regular as the release."""
BESIDE = {
    "cogvlm2": {"model.layers.0.self_attn.rotary_emb.inv_freq": (4,)},
    "deepseek_vl2": {"vision.attn_pool.latent": (1, 1, 32), "vision.attn_pool.kv.weight": (64, 32)},
    "phi3_vision": {"model.vision_embed_tokens.wte.weight": (320, 32)},
    "qwen_vl": {"transformer.visual.attn_pool.pos_embed": (9, 32)},
}
"""Weights of the release that play no part in its outputs."""
_CODE = {"AutoConfig": "configuration_released.ReleasedConfig"}
_SPECIAL = {"bos_token_id": 3, "eos_token_id": 0}


def scrambled(name: str) -> Any:
    """Return a tiny system of the layout's preset in float32, every parameter drawn anew."""
    preset, overrides = PRESETS[name]
    system = build_system(load_preset(preset, overrides), scale="tiny")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in system.model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return system


def write_release(folder: Path, name: str, system: Any, shards: int = 3) -> Path:
    """Write the system as its authors would have: sharded safetensors, their config, a tokenizer that names code."""
    folder.mkdir()
    state = {key: tensor.contiguous() for key, tensor in layout(name).key_map(system.model.config)
             .to_theirs(system.model.state_dict()).items()}  # fmt: skip
    state |= {key: torch.ones(shape) for key, shape in BESIDE[name].items()}
    write_shards(folder, state, shards)
    values = {"architectures": [layout(name).architecture], "auto_map": _CODE, **_SPECIAL}
    values |= CONFIGS[name](system.model.config)
    (folder / "config.json").write_text(json.dumps(values))
    system.processor.tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    named = {"auto_map": {"AutoTokenizer": ["tokenization_released.ReleasedTokenizer", None]}}
    path.write_text(json.dumps({**json.loads(path.read_text()), **named}))
    return folder


def write_shards(folder: Path, state: dict[str, torch.Tensor], shards: int) -> None:
    """Write safetensors with their index."""
    names, weight_map = sorted(state), {}
    for number in range(shards):
        file = f"model-{number + 1:05}-of-{shards:05}.safetensors"
        part = {name: state[name].clone() for name in names[number::shards]}
        save_file(part, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def layout(name: str) -> Any:
    """Return the layout of that name."""
    return LAYOUTS.get(name)()


def _phi3(config: Any) -> dict[str, Any]:
    text, rope = config.text_config, dict(config.text_config.rope_parameters)
    names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
             "num_key_value_heads", "max_position_embeddings", "original_max_position_embeddings",
             "rms_norm_eps")  # fmt: skip
    factors = {name: rope[name] for name in ("short_factor", "long_factor")}
    return {
        "model_type": "phi3_v",
        "embd_layer": {"embedding_cls": "image", "hd_transform_order": "sub_glb", "projection_cls": "mlp",
                       "use_hd_transform": True, "with_learnable_separator": True},
        "img_processor": {"image_dim_out": config.vision_config.hidden_size, "name": "clip_vision_model"},
        "rope_scaling": {**factors, "type": "su"},
        "rope_theta": rope["rope_theta"],
        **{name: getattr(text, name) for name in names},
    }  # fmt: skip


def _qwen(config: Any) -> dict[str, Any]:
    text, eye = config.text_config, config.vision_config
    names = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings")
    return {
        "model_type": "qwen", "no_bias": True, "rotary_emb_base": 10000, "layer_norm_epsilon": text.rms_norm_eps,
        "intermediate_size": 2 * text.intermediate_size, **{name: getattr(text, name) for name in names},
        "visual": {"heads": eye.num_attention_heads, "image_size": eye.image_size, "layers": eye.num_hidden_layers,
                   "mlp_ratio": eye.intermediate_size / eye.hidden_size, "output_dim": text.hidden_size,
                   "patch_size": eye.patch_size, "width": eye.hidden_size},
    }  # fmt: skip


def _deepseek(config: Any) -> dict[str, Any]:
    text, eye = config.text_config, config.vision_config
    names = ("vocab_size", "hidden_size", "intermediate_size", "moe_intermediate_size", "num_hidden_layers",
             "num_attention_heads", "num_key_value_heads", "n_shared_experts", "n_routed_experts",
             "num_experts_per_tok", "first_k_dense_replace", "kv_lora_rank", "q_lora_rank", "qk_nope_head_dim",
             "qk_rope_head_dim", "v_head_dim", "max_position_embeddings", "rms_norm_eps")  # fmt: skip
    side, most = eye.image_size, 4
    return {
        "model_type": "deepseek_vl_v2", "tile_tag": "2D", "global_view_pos": "head",
        "candidate_resolutions": [[side * x, side * y] for x in range(1, 5) for y in range(1, 5) if x * y <= most],
        "language_config": {"use_mla": True, "topk_method": "greedy", **{name: getattr(text, name) for name in names}},
        "projector_config": {"model_type": "mlp_projector", "n_embed": text.hidden_size},
        "vision_config": {"image_size": side, "patch_size": eye.patch_size, "width": eye.hidden_size,
                          "layers": eye.num_hidden_layers, "heads": eye.num_attention_heads,
                          "mlp_ratio": eye.intermediate_size / eye.hidden_size},
    }  # fmt: skip


def _cogvlm2(config: Any) -> dict[str, Any]:
    text, eye = config.text_config, config.vision_config
    names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
             "max_position_embeddings", "rms_norm_eps", "hidden_act")  # fmt: skip
    sizes = ("image_size", "hidden_size", "intermediate_size", "num_hidden_layers", "patch_size", "hidden_act",
             "layer_norm_eps")  # fmt: skip
    return {
        "num_multi_query_heads": text.num_key_value_heads,
        "tie_word_embeddings": False,
        **{name: getattr(text, name) for name in names},
        "vision_config": {"num_heads": eye.num_attention_heads, **{name: getattr(eye, name) for name in sizes}},
    }


CONFIGS = {"cogvlm2": _cogvlm2, "deepseek_vl2": _deepseek, "phi3_vision": _phi3, "qwen_vl": _qwen}
"""What each ``config.json`` says, in the words of its release."""
