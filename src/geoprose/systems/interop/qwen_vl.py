"""Qwen-VL's published layout: the class is not in transformers, so it serves import and the golden test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoprose.systems.interop.key_map import Fuse, KeyMap, Rename

if TYPE_CHECKING:
    from torch import Tensor

    from geoprose.models.config import GeoproseConfig

_BLOCKS = (("layer_norm1", "ln_1"), ("layer_norm2", "ln_2"), ("mlp.fc1", "mlp.c_fc"), ("mlp.fc2", "mlp.c_proj"))
_LAYERS = (
    ("input_layernorm", "ln_1"),
    ("post_attention_layernorm", "ln_2"),
    ("self_attn.o_proj", "attn.c_proj"),
    ("mlp.up_proj", "mlp.w1"),
    ("mlp.gate_proj", "mlp.w2"),
    ("mlp.down_proj", "mlp.c_proj"),
)


def transposed(tensor: Tensor) -> Tensor:
    """Return a matrix that multiplies from the other side."""
    return tensor.T.contiguous()


def interleaved(heads: int) -> tuple[Any, Any]:
    """Return the way from rows q of all heads, k of all heads, v of all heads to q, k, v head by head, and back."""

    def export(tensor: Tensor) -> Tensor:
        return tensor.reshape(3, heads, -1, *tensor.shape[1:]).transpose(0, 1).flatten(0, 2)

    def restore(tensor: Tensor) -> Tensor:
        return tensor.reshape(heads, 3, -1, *tensor.shape[1:]).transpose(0, 1).flatten(0, 2)

    return export, restore


def qwen_vl_key_map(ours: GeoproseConfig) -> KeyMap:
    """Return the names of the weights of Qwen-VL and Qwen-VL-Chat."""
    tower, visual = "model.vision_encoder.tower", "transformer.visual"
    block, resblock = f"{tower}.encoder.layers.{{i}}", f"{visual}.transformer.resblocks.{{i}}"
    layer, theirs = "model.language_model.layers.{i}", "transformer.h.{i}"
    export, restore = interleaved(ours.vision_config.num_attention_heads)  # type: ignore[union-attr]
    rules: list[Rename | Fuse] = [
        Rename(f"{tower}.embeddings.patch_embedding.weight", f"{visual}.conv1.weight"),
        Rename(f"{tower}.embeddings.position_embedding", f"{visual}.positional_embedding"),
        Rename(f"{tower}.pre_layrnorm.{{rest}}", f"{visual}.ln_pre.{{rest}}"),
        Rename(f"{block}.self_attn.out_proj.{{rest}}", f"{resblock}.attn.out_proj.{{rest}}"),
        *(Rename(f"{block}.{mine}.{{rest}}", f"{resblock}.{other}.{{rest}}") for mine, other in _BLOCKS),
        Rename("model.connector.ln_post.{rest}", f"{visual}.ln_post.{{rest}}"),
        Rename("model.connector.proj.weight", f"{visual}.proj", transposed, transposed),
        Rename("model.connector.{rest}", f"{visual}.attn_pool.{{rest}}"),
        *(Rename(f"{layer}.{mine}.{{rest}}", f"{theirs}.{other}.{{rest}}") for mine, other in _LAYERS),
        Rename("model.language_model.embed_tokens.weight", "transformer.wte.weight"),
        Rename("model.language_model.norm.weight", "transformer.ln_f.weight"),
        Rename("lm_head.weight", "lm_head.weight"),
    ]
    for kind in ("weight", "bias"):
        heads = tuple(f"{block}.self_attn.{name}_proj.{kind}" for name in "qkv")
        rules.append(Fuse(heads, f"{resblock}.attn.in_proj.{kind}", export, restore))
        rules.append(
            Fuse(tuple(f"{layer}.self_attn.{name}_proj.{kind}" for name in "qkv"), f"{theirs}.attn.c_attn.{kind}")
        )
    # The position table of the queries is computed, not learned.
    return KeyMap(rules, theirs_only=[f"{visual}.attn_pool.pos_embed"])
