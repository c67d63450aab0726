"""Idefics-1, an open Flamingo: ``IdeficsForVisionText2Text``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from transformers import IdeficsConfig

from geoprose.systems.interop.base import Reference, part_config
from geoprose.systems.interop.key_map import KeyMap, Rename, Split

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor
    from transformers import PreTrainedConfig, PreTrainedModel

    from geoprose.models.config import GeoproseConfig
    from geoprose.systems.interop.base import Sizes

_VISION = ("image_size", "patch_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act")
_TEXT = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "rms_norm_eps",
    "max_position_embeddings",
    "rope_parameters",
    "tie_word_embeddings",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
)
_ATTENTION = {"attention.context_norm": "0.context_layer_norm", "attention.latent_norm": "0.latents_layer_norm",
              "attention.q_norm": "0.q_layer_norm", "attention.k_norm": "0.k_layer_norm",
              "attention.q_proj": "0.q_proj", "attention.k_proj": "0.k_proj", "attention.v_proj": "0.v_proj",
              "attention.out_proj": "0.output_proj", "feed_forward.norm": "1.ln", "feed_forward.up_proj": "1.fc",
              "feed_forward.down_proj": "1.c_proj"}  # fmt: skip
_BLOCK = {"attention_norm": "input_layernorm", "feed_forward_norm": "post_attention_layernorm",
          "q_proj": "cross_attn.q_proj", "k_proj": "cross_attn.k_proj", "v_proj": "cross_attn.v_proj",
          "o_proj": "cross_attn.o_proj", "q_norm": "cross_attn.q_layer_norm", "k_norm": "cross_attn.k_layer_norm",
          "feed_forward": "mlp"}  # fmt: skip


class IdeficsReference(Reference):
    """CLIP with its class token, a resampler, a Llama with gated cross-attention.

    The tokens that Idefics added to Llama's have tables of their own (``additional_embedding``, ``additional_fc``);
    here they are further rows of the one table. Where it ends and they begin is ``language_model.config.vocab_size``.
    """

    architecture = "IdeficsForVisionText2Text"
    cases: ClassVar[Mapping[str, tuple[Sizes, ...]]] = {
        "one picture": (((48, 48),),),
        "two pictures": (((48, 48), (64, 40)),),
        "a batch of two rows": (((48, 48),), ((40, 64), (48, 48))),
        "a row without pictures": (((48, 48), (40, 64)), ()),
    }

    def key_map(self, ours: GeoproseConfig) -> KeyMap:
        """Return the names of the weights."""
        resampler = "model.perceiver_resampler"
        block = "model.gated_cross_attn_layers.{layer}"
        return KeyMap(
            [
                Rename("model.vision_encoder.tower.{rest}", "model.vision_model.{rest}"),
                Rename("model.connector.latents", f"{resampler}.latents"),
                Rename("model.connector.norm.{rest}", f"{resampler}.layer_norm.{{rest}}"),
                *(
                    Rename(
                        f"model.connector.blocks.{{layer}}.{own}.{{rest}}",
                        f"{resampler}.blocks.{{layer}}.{their}.{{rest}}",
                    )
                    for own, their in _ATTENTION.items()
                ),
                Rename("model.fusion.blocks.{layer}.attention_gate", f"{block}.alpha_cross_attn"),
                Rename("model.fusion.blocks.{layer}.feed_forward_gate", f"{block}.alpha_dense"),
                *(
                    Rename(f"model.fusion.blocks.{{layer}}.{own}.{{rest}}", f"{block}.{their}.{{rest}}")
                    for own, their in _BLOCK.items()
                ),
                *_tables(ours),
                Rename("model.language_model.{rest}", "model.{rest}"),
                Rename("lm_head.{rest}", "lm_head.{rest}"),
            ]
        )

    def config(self, ours: GeoproseConfig) -> PreTrainedConfig:
        """Return the config of the transformers class that says the same."""
        vision, text = part_config(ours.vision_config), part_config(ours.text_config)
        connector, fusion = dict(ours.connector or {}), ours.merging()[1]
        return IdeficsConfig(
            **{name: text[name] for name in _TEXT if name != "vocab_size"},
            vocab_size=text["vocab_size"] - _num_added(ours),
            additional_vocab_size=_num_added(ours),
            cross_layer_interval=fusion["every"],
            qk_layer_norms=fusion["qk_norm"],
            use_resampler=True,
            perceiver_config={
                "use_resampler": True,
                "resampler_n_latents": connector["num_latents"],
                "resampler_depth": connector["depth"],
                "resampler_n_heads": connector["num_heads"],
                "resampler_head_dim": connector["head_dim"],
                "qk_layer_norms_perceiver": connector["qk_norm"],
            },
            vision_config={"embed_dim": vision["hidden_size"], **{name: vision[name] for name in _VISION}},
        )

    def spec_values(self, theirs: PreTrainedConfig) -> dict[str, Any]:
        """Return what a released config changes in the preset."""
        vision, resampler = part_config(theirs.vision_config), part_config(theirs.perceiver_config)
        tower = {name: vision[name] for name in _VISION if name != "image_size"}
        text = {name: getattr(theirs, name) for name in _TEXT}
        return {
            "resolution": {"image_size": vision["image_size"]},
            "vision_encoder": {"config": {"hidden_size": vision["embed_dim"], **tower}},
            "connector": {
                "num_latents": resampler["resampler_n_latents"],
                "depth": resampler["resampler_depth"],
                "num_heads": resampler["resampler_n_heads"],
                "head_dim": resampler["resampler_head_dim"],
                "qk_norm": resampler["qk_layer_norms_perceiver"],
            },
            "fusion": {
                "every": theirs.cross_layer_interval,
                "qk_norm": theirs.qk_layer_norms,
                "visual_width": vision["embed_dim"],
                "norm_eps": theirs.rms_norm_eps,
            },
            "language_model": {"type": "llama", "config": text},
        }

    def adopted(self, theirs: PreTrainedConfig) -> PreTrainedConfig:
        """Return the released config with the added tokens counted among the vocabulary."""
        values = theirs.to_dict()
        return IdeficsConfig(**{**values, "vocab_size": values["vocab_size"] + values["additional_vocab_size"]})

    def build(self, model: Any) -> PreTrainedModel:
        """Return the transformers model with the weights of ours; remembers which token stands for a picture."""
        self._image_token_id = int(model.config.image_token_id)
        return super().build(model)

    def inputs(self, inputs: Mapping[str, Tensor]) -> dict[str, Any]:
        """Return the inputs with pictures padded per row, and the mask of each token's last picture (B, T, S)."""
        named = {name: inputs[name] for name in ("input_ids", "attention_mask")}
        numbers = (inputs["input_ids"] == self._image_token_id).cumsum(-1)
        counts = numbers[:, -1].tolist()
        pixels = torch.nn.utils.rnn.pad_sequence(list(torch.split(inputs["pixel_values"], counts)), batch_first=True)
        is_last = numbers[..., None] == torch.arange(1, pixels.shape[1] + 1)
        return {**named, "pixel_values": pixels, "image_attention_mask": is_last.long()}


def _num_added(ours: GeoproseConfig) -> int:
    """Return the rows behind Llama's own vocabulary, which the preset names; a tiny model has none."""
    rows = int(part_config(ours.text_config)["vocab_size"])
    own = (ours.system or {}).get("language_model", {}).get("config", {}).get("vocab_size", rows)
    return max(0, rows - int(own))


def _tables(ours: GeoproseConfig) -> list[Split]:
    """Return the two tables that are published in two parts each, or nothing where no token was added."""
    added = _num_added(ours)
    if not added:
        return []
    names = {
        "model.language_model.embed_tokens": ("model.embed_tokens", "additional_embedding"),
        "lm_head": ("lm_head", "additional_fc"),
    }
    return [
        Split(
            f"{own}.weight",
            (f"{their}.weight", f"{their}.{extra}.weight"),
            lambda table: [[table[:-added]], [table[-added:]]],
            lambda pieces: torch.cat([piece for (piece,) in pieces]),
        )
        for own, (their, extra) in names.items()
    ]
