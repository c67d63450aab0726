"""DeepSeek-VL2 as released: ``DeepseekVLV2ForCausalLM`` of its authors' package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from geoprose.core.errors import ConfigError
from geoprose.systems.interop.key_map import Fuse, KeyMap, Rename, Rule, Split
from geoprose.systems.interop.released import ReleasedLayout, expect, taken

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from geoprose.models.config import GeoproseConfig
    from geoprose.systems.interop.key_map import Pieces

_BLOCK = (
    ("layer_norm1", "norm1"),
    ("layer_norm2", "norm2"),
    ("self_attn.out_proj", "attn.proj"),
    ("mlp.fc1", "mlp.fc1"),
    ("mlp.fc2", "mlp.fc2"),
)
_TEXT = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "moe_intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "n_shared_experts",
    "n_routed_experts",
    "num_experts_per_tok",
    "first_k_dense_replace",
    "routed_scaling_factor",
    "norm_topk_prob",
    "kv_lora_rank",
    "q_lora_rank",
    "qk_nope_head_dim",
    "qk_rope_head_dim",
    "v_head_dim",
    "max_position_embeddings",
    "rms_norm_eps",
    "tie_word_embeddings",
    "bos_token_id",
    "eos_token_id",
)
_SIDES = {"width": "hidden_size", "layers": "num_hidden_layers", "heads": "num_attention_heads"}


class DeepseekVl2Layout(ReleasedLayout):
    """timm's SigLIP, two linear layers, DeepSeek-V2 with one matrix per expert; released with attention by MLA."""

    architecture = "DeepseekVLV2ForCausalLM"
    preset = "deepseek-vl2"

    def key_map(self, ours: GeoproseConfig) -> KeyMap:
        """Return the names of the weights."""
        tower, experts = "model.vision_encoder.tower", "model.language_model.layers.{i}.mlp.experts"
        layer, published = f"{tower}.encoder.layers.{{i}}", "language.model.layers.{i}.mlp.experts.{part}"
        rules: list[Rule] = [
            Rename(f"{tower}.embeddings.patch_embedding.{{rest}}", "vision.patch_embed.proj.{rest}"),
            Rename(f"{tower}.embeddings.position_embedding.weight", "vision.pos_embed", _batched, _unbatched),
            Rename(f"{tower}.post_layernorm.{{rest}}", "vision.norm.{rest}"),
            *(Rename(f"{layer}.{own}.{{rest}}", f"vision.blocks.{{i}}.{their}.{{rest}}") for own, their in _BLOCK),
            *(
                Fuse(
                    tuple(f"{layer}.self_attn.{name}_proj.{leaf}" for name in "qkv"),
                    f"vision.blocks.{{i}}.attn.qkv.{leaf}",
                )
                for leaf in ("weight", "bias")
            ),
            Rename("model.packer.newline", "image_newline"),
            Rename("model.packer.view_separator", "view_seperator"),
            Rename("model.connector.layers.{i}.{rest}", "projector.layers.{i}.{rest}"),
            Split(
                f"{experts}.gate_up_proj",
                (f"{published}.gate_proj.weight", f"{published}.up_proj.weight"),
                _gates_and_ups,
                _stacked,
            ),
            Split(f"{experts}.down_proj", (f"{published}.down_proj.weight",), lambda t: [t.unbind()], _stacked),
            Rename("model.language_model.{rest}", "language.model.{rest}"),
            Rename("lm_head.{rest}", "language.lm_head.{rest}"),
        ]
        # The pooling head of SigLIP, which the published forward pass leaves out.
        return KeyMap(rules, theirs_only=["vision.attn_pool.{rest}"])

    def spec_values(self, released: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a released config changes; what it does not name is as in DeepSeek-VL2-Small.

        Raises:
            ConfigError: If it is DeepSeek-VL2-Tiny (no MLA) or the 27B (a sigmoid router), or tiles otherwise.
        """
        text, eye = released["language_config"], released.get("vision_config", {})
        expect(released, "config.json", tile_tag="2D", global_view_pos="head")
        expect(text, "language_config", use_mla=True, topk_method="greedy", scoring_func="softmax")
        bridge = released.get("projector_config", {})
        expect(bridge, "projector_config", **{"projector_type": "downsample_mlp_gelu", "mlp_ratio": 1})
        tower = {_SIDES.get(name, name): value for name, value in taken(eye, (*_SIDES, "patch_size")).items()}
        if {"width", "mlp_ratio"} <= set(eye):
            tower["intermediate_size"] = int(eye["width"] * eye["mlp_ratio"])
        sizes = {"depth": "depth", "downsample_ratio": "factor"}
        return {
            "resolution": {**taken(eye, ["image_size"]), **_tiles(released)},
            "vision_encoder": {"config": tower},
            "connector": {sizes[name]: value for name, value in taken(bridge, sizes).items()},
            "language_model": {"config": taken(text, _TEXT)},
        }

    def num_rows(self, released: Mapping[str, Any]) -> int:
        """Return the rows of the released vocabulary."""
        return int(released["language_config"]["vocab_size"])


def _tiles(released: Mapping[str, Any]) -> dict[str, int]:
    """Return the most tiles of a picture; the candidates must be all grids of at most as many."""
    sizes = [tuple(size) for size in released.get("candidate_resolutions", ())]
    if not sizes:
        return {}
    side = min(min(size) for size in sizes)
    grids = {(width // side, height // side) for width, height in sizes}
    most = max(columns * rows for columns, rows in grids)
    if grids != {(x, y) for x in range(1, most + 1) for y in range(1, most // x + 1)}:
        raise ConfigError(f"candidate_resolutions are not all grids of at most {most} tiles of {side} px.")
    return {"max_tiles": most}


def _batched(tensor: Tensor) -> Tensor:
    return tensor[None]


def _unbatched(tensor: Tensor) -> Tensor:
    return tensor.squeeze(0)


def _gates_and_ups(tensor: Tensor) -> Pieces:
    """Return the gate matrices and the up matrices of all experts."""
    gates, ups = tensor.chunk(2, dim=1)
    return [gates.contiguous().unbind(), ups.contiguous().unbind()]


def _stacked(pieces: Pieces) -> Tensor:
    """Return one tensor of all experts, their matrices one below the other."""
    return torch.stack([torch.cat(list(parts)) for parts in zip(*pieces, strict=True)])
