"""Qwen-VL and Qwen-VL-Chat as released: ``QWenLMHeadModel``, whose class came with the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoprose.core.errors import ConfigError
from geoprose.systems.interop.key_map import Fuse, KeyMap, Rename
from geoprose.systems.interop.qwen_tokenizer import FILE, qwen_tokenizer
from geoprose.systems.interop.released import ReleasedLayout, expect, taken

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

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
_TEXT = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings")
_SIDES = {"width": "hidden_size", "layers": "num_hidden_layers", "heads": "num_attention_heads"}


class QwenVlLayout(ReleasedLayout):
    """OpenCLIP's bigG with a resampler inside Qwen; a text-only Qwen has the same class name."""

    architecture = "QWenLMHeadModel"
    preset = "qwen-vl"

    def key_map(self, ours: GeoproseConfig) -> KeyMap:
        """Return the names of the weights."""
        return qwen_vl_key_map(ours)

    def spec_values(self, released: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a released config changes.

        Raises:
            ConfigError: If it describes no vision tower.
        """
        if "visual" not in released:
            raise ConfigError("config.json has no 'visual', so this is a Qwen that reads text only.")
        expect(released, "config.json", no_bias=True, rotary_pct=1.0, tie_word_embeddings=False)
        eye, text = released["visual"], taken(released, _TEXT)
        tower = {_SIDES.get(name, name): value for name, value in taken(eye, (*_SIDES, "patch_size")).items()}
        tower["intermediate_size"] = int(eye["width"] * eye["mlp_ratio"])
        # The published width counts gate and value of the feed-forward layer.
        text |= {
            "num_key_value_heads": released["num_attention_heads"],
            "intermediate_size": released["intermediate_size"] // 2,
            "rms_norm_eps": released.get("layer_norm_epsilon", 1e-6),
            "rope_parameters": {"rope_theta": float(released.get("rotary_emb_base", 10000))},
        }
        return {
            "resolution": taken(eye, ["image_size"]),
            "vision_encoder": {"config": tower},
            "language_model": {"config": text},
        }

    def tokenizer(self, folder: Path) -> Any | None:
        """Return the tokenizer of ``qwen.tiktoken``, unless the folder holds a converted one."""
        if (folder / "tokenizer.json").is_file() or not (folder / FILE).is_file():
            return None
        return qwen_tokenizer(folder)


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
