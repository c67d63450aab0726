"""Janus and Janus-Pro: ``JanusForConditionalGeneration``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers import JanusConfig

from geoprose.systems.interop.base import Reference, part_config
from geoprose.systems.interop.key_map import KeyMap, Rename

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

    from geoprose.models.config import GeoproseConfig

_SHARED = ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_channels", "image_size", "patch_size",
           "hidden_act", "layer_norm_eps", "attention_dropout", "initializer_range")  # fmt: skip


class JanusReference(Reference):
    """SigLIP and an MLP to understand; a VQ tokenizer, an embedding and a head to draw; a Llama between them."""

    architecture = "JanusForConditionalGeneration"

    def key_map(self, ours: GeoproseConfig) -> KeyMap:
        """Return the names of the weights."""
        tower, theirs = "model.vision_encoder.tower", "model.vision_model"
        attention = "encoder.layers.{layer}.self_attn"
        return KeyMap(
            [
                Rename(f"{tower}.{attention}.out_proj.{{rest}}", f"{theirs}.{attention}.projection_layer.{{rest}}"),
                Rename(f"{tower}.{{rest}}", f"{theirs}.{{rest}}"),
                Rename("model.connector.layers.0.{rest}", "model.aligner.fc1.{rest}"),
                Rename("model.connector.layers.2.{rest}", "model.aligner.hidden_layers.0.{rest}"),
                Rename("image_head.tower.{rest}", "model.vqmodel.{rest}"),
                Rename("image_head.embeddings.{rest}", "model.generation_embeddings.{rest}"),
                Rename("image_head.aligner.0.{rest}", "model.generation_aligner.fc1.{rest}"),
                Rename("image_head.aligner.2.{rest}", "model.generation_aligner.hidden_layers.0.{rest}"),
                Rename("image_head.output.0.{rest}", "model.generation_head.proj_out.{rest}"),
                Rename("image_head.output.2.{rest}", "model.generation_head.vision_head.{rest}"),
                Rename("model.language_model.{rest}", "model.language_model.{rest}"),
                Rename("lm_head.{rest}", "lm_head.{rest}"),
            ]
        )

    def config(self, ours: GeoproseConfig) -> PreTrainedConfig:
        """Return the config of the transformers class that says the same."""
        assert ours.connector is not None
        assert ours.image_head is not None
        text, vision = part_config(ours.text_config), part_config(ours.vision_config)
        width = text["hidden_size"]
        return JanusConfig(
            vision_config={
                **{name: vision[name] for name in _SHARED if name in vision},
                "mlp_ratio": vision["intermediate_size"] / vision["hidden_size"],
                "projection_dim": width,
                "depth": ours.connector["depth"],
                "num_image_tokens": (vision["image_size"] // vision["patch_size"]) ** 2,
            },
            vq_config={
                **ours.image_head["config"],
                "projection_dim": width,
                "image_token_embed_dim": width,
                "num_hidden_layers": ours.image_head["depth"],
            },
            text_config=text,
            image_token_id=ours.image_token_id,
            tie_word_embeddings=ours.tie_word_embeddings,
        )

    def spec_values(self, theirs: PreTrainedConfig) -> dict[str, Any]:
        """Return what a released config changes in the preset."""
        text, vision, codes = (
            part_config(part) for part in (theirs.text_config, theirs.vision_config, theirs.vq_config)
        )
        vision["intermediate_size"] = int(vision["hidden_size"] * vision["mlp_ratio"])
        known = ("model_type", "num_embeddings", "embed_dim", "latent_channels", "base_channels", "channel_multiplier",
                 "num_res_blocks", "num_patches")  # fmt: skip
        side = codes["num_patches"]
        return {
            "resolution": {"image_size": vision.pop("image_size")},
            "vision_encoder": {"config": vision},
            "connector": {"depth": vision["depth"], "activation": vision["hidden_act"]},
            "image_head": {
                "rows": side,
                "columns": side,
                "depth": codes["num_hidden_layers"],
                "activation": codes["hidden_act"],
                "config": {name: codes[name] for name in known},
            },
            "language_model": {"type": text.pop("model_type"), "config": text},
        }
