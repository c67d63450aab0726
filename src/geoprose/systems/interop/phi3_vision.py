"""Phi-3-Vision as released: ``Phi3VForCausalLM``, whose class came with the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoprose.systems.interop.key_map import KeyMap, Rename
from geoprose.systems.interop.released import ReleasedLayout, expect, taken

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from geoprose.models.config import GeoproseConfig

_TEXT = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "max_position_embeddings",
    "original_max_position_embeddings",
    "rms_norm_eps",
)
_EYE = "model.vision_embed_tokens"
_TABLE, _SAME_TABLE = "model.embed_tokens.weight", f"{_EYE}.wte.weight"


class Phi3VisionLayout(ReleasedLayout):
    """CLIP, its separators and the two linear layers lie inside the embedding; the rest is Phi-3."""

    architecture = "Phi3VForCausalLM"
    preset = "phi-3-vision"

    def key_map(self, ours: GeoproseConfig) -> KeyMap:
        """Return the names of the weights."""
        return KeyMap(
            [
                Rename("model.vision_encoder.tower.{rest}", f"{_EYE}.img_processor.vision_model.{{rest}}"),
                Rename("model.connector.row_separator", f"{_EYE}.sub_GN", lambda t: t[None, None, None], _flat),
                Rename("model.connector.view_separator", f"{_EYE}.glb_GN", lambda t: t[None, None], _flat),
                Rename("model.connector.layers.{i}.{rest}", f"{_EYE}.img_projection.{{i}}.{{rest}}"),
                Rename("model.language_model.{rest}", "model.{rest}"),
                Rename("lm_head.{rest}", "lm_head.{rest}"),
            ],
            theirs_only=[
                _SAME_TABLE,
                f"{_EYE}.img_processor.vision_model.embeddings.position_ids",
                "model.layers.{i}.self_attn.rotary_emb.inv_freq",
            ],
        )

    def spec_values(self, released: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a released config changes; its CLIP is a constant of the published code."""
        eye, embedding = released.get("img_processor", {}), released.get("embd_layer", {})
        expect(eye, "img_processor", name="clip_vision_model")
        expect(embedding, "embd_layer", use_hd_transform=True, with_learnable_separator=True, projection_cls="mlp")
        expect(embedding, "embd_layer", hd_transform_order="sub_glb")
        text = taken(released, _TEXT)
        scaling = released.get("rope_scaling")
        if scaling:
            # Source: the release calls "su" what transformers renamed to "longrope".
            text["rope_parameters"] = {
                **taken(scaling, ("short_factor", "long_factor")),
                "rope_theta": released.get("rope_theta", 10000.0),
            }
        width = {"hidden_size": eye["image_dim_out"]} if "image_dim_out" in eye else {}
        return {"vision_encoder": {"config": width}, "language_model": {"config": text}}

    def completed(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return the weights with the word vectors, which two modules share, under their first name."""
        if _TABLE in state or _SAME_TABLE not in state:
            return state
        return {**state, _TABLE: state[_SAME_TABLE]}


def _flat(tensor: Tensor) -> Tensor:
    return tensor.reshape(-1)
