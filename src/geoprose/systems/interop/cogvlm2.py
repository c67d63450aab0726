"""CogVLM2 as released: ``CogVLMForCausalLM``, whose class came with the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoprose.core.errors import ConfigError
from geoprose.systems.interop.base import part_config
from geoprose.systems.interop.key_map import Fuse, KeyMap, Rename, Rule
from geoprose.systems.interop.released import ReleasedLayout, expect, taken

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from geoprose.models.config import GeoproseConfig

_TOWER = (
    ("qkv", "attention.query_key_value"),
    ("proj", "attention.dense"),
    ("fc1", "mlp.fc1"),
    ("fc2", "mlp.fc2"),
    ("attention_norm", "input_layernorm"),
    ("feed_forward_norm", "post_attention_layernorm"),
)
_CONNECTOR = (
    ("linear.{rest}", "linear_proj.linear_proj.{rest}"),
    ("norm.{rest}", "linear_proj.norm1.{rest}"),
    ("gate_proj.weight", "linear_proj.gate_proj.weight"),
    ("up_proj.weight", "linear_proj.dense_h_to_4h.weight"),
    ("down_proj.weight", "linear_proj.dense_4h_to_h.weight"),
    ("conv.{rest}", "conv.{rest}"),
)
_TEXT = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "max_position_embeddings",
    "rms_norm_eps",
)
_VISION = ("hidden_size", "intermediate_size", "num_hidden_layers", "patch_size", "hidden_act", "layer_norm_eps")
_EYE = "model.vision"


class Cogvlm2Layout(ReleasedLayout):
    """EVA2-CLIP, a gated connector, and a Llama whose layers hold a visual and a language expert each."""

    architecture = "CogVLMForCausalLM"
    preset = "cogvlm2"

    def key_map(self, ours: GeoproseConfig) -> KeyMap:
        """Return the names of the weights."""
        tower = "model.vision_encoder.tower"
        layer, block = f"{tower}.layers.{{i}}", f"{_EYE}.transformer.layers.{{i}}"
        patches = f"{_EYE}.patch_embedding"
        rules: list[Rule] = [
            Rename(f"{tower}.class_embedding", f"{patches}.cls_embedding"),
            Rename(f"{tower}.position_embedding.weight", f"{patches}.position_embedding.weight"),
            Rename(f"{tower}.patch_embedding.{{rest}}", f"{patches}.proj.{{rest}}"),
            *(Rename(f"{layer}.{own}.{{rest}}", f"{block}.{their}.{{rest}}") for own, their in _TOWER),
            *(Rename(f"model.connector.{own}", f"{_EYE}.{their}") for own, their in _CONNECTOR),
            Rename("model.connector.start_token", f"{_EYE}.boi", _as_token, _as_vector),
            Rename("model.connector.end_token", f"{_EYE}.eoi", _as_token, _as_vector),
        ]
        sizes, language = _head_rows(ours), "model.language_model.layers.{i}"
        rules += _expert("language", (f"{language}.self_attn", f"{language}.mlp"), sizes)
        expert = "model.fusion.layers.{i}"
        rules += _expert("vision", (f"{expert}.attention", f"{expert}.feed_forward"), sizes)
        rules += [Rename("model.language_model.{rest}", "model.{rest}"), Rename("lm_head.{rest}", "lm_head.{rest}")]
        return KeyMap(rules, theirs_only=["model.layers.{i}.self_attn.rotary_emb.inv_freq"])

    def spec_values(self, released: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a released config changes.

        Raises:
            ConfigError: If it is of the first CogVLM, which has the same class name and other parts.
        """
        if "num_multi_query_heads" not in released:
            raise ConfigError(
                "config.json names no num_multi_query_heads, so this is the first CogVLM and not CogVLM2; "
                "no preset covers it."
            )
        expect(released, "config.json", hidden_act="silu", tie_word_embeddings=False)
        eye = released["vision_config"]
        text = {**taken(released, _TEXT), "num_key_value_heads": released["num_multi_query_heads"]}
        return {
            "resolution": taken(eye, ["image_size"]),
            "vision_encoder": {"config": {**taken(eye, _VISION), "num_attention_heads": eye["num_heads"]}},
            "connector": {"hidden_size": released["intermediate_size"]},
            "language_model": {"config": text},
        }


def _as_token(tensor: Tensor) -> Tensor:
    return tensor[None, None]


def _as_vector(tensor: Tensor) -> Tensor:
    return tensor.reshape(-1)


def _head_rows(ours: GeoproseConfig) -> tuple[int, int, int]:
    """Return the rows of queries, keys and values."""
    text = part_config(ours.text_config)
    heads, width = int(text["num_attention_heads"]), int(text["hidden_size"])
    of_keys = width // heads * int(text["num_key_value_heads"])
    return width, of_keys, of_keys


def _expert(kind: str, ours: tuple[str, str], sizes: tuple[int, int, int]) -> list[Rule]:
    """Return the names of one expert of every layer: its attention and its feed-forward part."""
    attention, feed_forward = ours
    theirs = f"model.layers.{{i}}.self_attn.{kind}_expert"
    fused: list[Rule] = [
        Fuse(tuple(f"{attention}.{q}_proj.{leaf}" for q in "qkv"), f"{theirs}_query_key_value.{leaf}", sizes=sizes)
        for leaf in ("weight", "bias")
    ]
    return [
        *fused,
        Rename(f"{attention}.o_proj.{{rest}}", f"{theirs}_dense.{{rest}}"),
        Rename(f"{feed_forward}.{{rest}}", f"model.layers.{{i}}.mlp.{kind}_mlp.{{rest}}"),
    ]
