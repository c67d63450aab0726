"""Towers: one transformers model, and how its output becomes one vector per picture or text.

Shapes: N pictures, C channels, H W pixels, B texts, T tokens, E width, P patches, h w the patch grid.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from torch import Tensor, nn

from geoprose.core.errors import ConfigError
from geoprose.layout.tokens import grid_side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedConfig

    from geoprose.layout.visual import VisualLayout
    from geoprose.models.inputs import VisualInputs

Pooling = Literal["native", "first", "mean"]
"""``native``: what the model was published with; ``first``: the first token; ``mean``: all tokens that are content."""


class Tower(nn.Module):
    """A transformers model and its pooling.

    Args:
        config: Config of the model.
        pooling: See ``Pooling``. What only the native pooling reads is frozen under the others.

    Attributes:
        model_type: transformers model type of the config.
        architecture: Name of the transformers class.
        width: E of the pooled vector.
    """

    model_type: ClassVar[str]
    architecture: ClassVar[str]
    num_prefix: ClassVar[int] = 1
    """Tokens in front that are no content; 0 means that there is no first token to pool."""
    native_heads: ClassVar[tuple[str, ...]] = ()
    """Name prefixes of the parameters that only the native pooling reads."""

    def __init__(self, config: PreTrainedConfig, pooling: Pooling = "native") -> None:
        super().__init__()
        if pooling == "first" and self.num_prefix == 0:
            raise ConfigError(f"{self.model_type} has no class token, so pooling 'first' has no meaning; use 'mean'.")
        self.pooling = pooling
        self.model: Any = getattr(import_module("transformers"), self.architecture)._from_config(config)
        self.width = self._width(config)
        self.freeze_unused()

    def _width(self, config: Any) -> int:
        return int(config.hidden_size)

    def unused_parameter_names(self) -> list[str]:
        """Return the parameters, relative to this part, that never get a gradient."""
        if self.pooling == "native":
            return []
        return [f"model.{name}" for name, _ in self.model.named_parameters() if name.startswith(self.native_heads)]

    def freeze_unused(self) -> None:
        """Freeze what never gets a gradient; loading a checkpoint forgets it, so loaders call this again."""
        for name in self.unused_parameter_names():
            self.get_parameter(name).requires_grad_(False)


class VisionTower(Tower):
    """Pictures to one vector each, or to maps of patch features."""

    final_norm: ClassVar[str]
    """Name of the norm behind the last block."""
    position_table: ClassVar[str]
    """Name of the learned positions: rows of the tokens in front, then of the patches in raster order."""

    def forward(self, pixel_values_NCHW: Tensor) -> Tensor:
        """Return (N, E)."""
        return self._pooled(self.model(pixel_values_NCHW.to(self.model.dtype)))

    def maps(self, pixel_values_NCHW: Tensor, layers: Sequence[int]) -> tuple[list[Tensor], Tensor]:
        """Return the patch features after these blocks as maps (N, E, h, w), and the pooled vector (N, E).

        Args:
            pixel_values_NCHW: Pictures.
            layers: Indices into the hidden states; 0 is the embedding, -1 the last block.
        """
        outputs = self.model(pixel_values_NCHW.to(self.model.dtype), output_hidden_states=True)
        return [self._map(outputs.hidden_states[layer]) for layer in layers], self._pooled(outputs)

    def encode(self, inputs: VisualInputs) -> Tensor:
        """Return what a feature cache keeps, (N, 1, E): the pooled vectors, as one patch a picture."""
        return self(inputs.pixel_values).unsqueeze(1)  # type: ignore[no-any-return]

    @property
    def hidden_size(self) -> int:
        """E, as encoders of composites name it."""
        return self.width

    def num_patches(self) -> int:
        """Return the vectors of a picture."""
        return 1

    def num_feature_rows(self, layout: VisualLayout) -> int:
        """Return the rows of the features that a picture takes."""
        return layout.num_tiles

    def normed(self, hidden: Tensor) -> Tensor:
        """Pass hidden states (..., E) through the norm behind the last block."""
        return self.model.get_submodule(self.final_norm)(hidden)  # type: ignore[no-any-return]

    def grid_side(self) -> int:
        """Return h, which is w."""
        return grid_side(int(self.model.config.image_size), int(self.model.config.patch_size))

    def _map(self, hidden_NTE: Tensor) -> Tensor:
        side = self.grid_side()
        patches_NEP = hidden_NTE[:, self.num_prefix :].transpose(1, 2)
        return patches_NEP.reshape(*patches_NEP.shape[:2], side, side)

    def _pooled(self, outputs: Any) -> Tensor:
        hidden_NTE: Tensor = outputs.last_hidden_state
        if self.pooling == "native":
            pooled: Tensor = outputs.pooler_output
            return pooled
        return hidden_NTE[:, 0] if self.pooling == "first" else hidden_NTE[:, self.num_prefix :].mean(1)


class TextTower(Tower):
    """Texts to one vector each."""

    def forward(self, input_ids_BT: Tensor, attention_mask_BT: Tensor | None = None) -> Tensor:
        """Return (B, E); without a mask every token counts."""
        outputs = self.model(input_ids=input_ids_BT, attention_mask=attention_mask_BT)
        hidden_BTE: Tensor = outputs.last_hidden_state
        if self.pooling == "native":
            pooled: Tensor = outputs.pooler_output
            return pooled
        if self.pooling == "first":
            return hidden_BTE[:, 0]
        if attention_mask_BT is None:
            return hidden_BTE.mean(1)
        kept_BT1 = attention_mask_BT.unsqueeze(-1).to(hidden_BTE.dtype)
        return (hidden_BTE * kept_BT1).sum(1) / kept_BT1.sum(1).clamp(min=1)


class ClipVisionTower(VisionTower):
    """CLIP's image tower; native pooling is the normalised class token."""

    model_type = "clip_vision_model"
    architecture = "CLIPVisionModel"
    final_norm = "post_layernorm"
    position_table = "embeddings.position_embedding.weight"
    native_heads = ("post_layernorm",)


class SiglipVisionTower(VisionTower):
    """SigLIP's image tower (SigLIP 2 at a fixed size has the same); native pooling is its attention head."""

    model_type = "siglip_vision_model"
    architecture = "SiglipVisionModel"
    final_norm = "post_layernorm"
    position_table = "embeddings.position_embedding.weight"
    num_prefix = 0
    native_heads = ("head",)


class VitTower(VisionTower):
    """ViT; native pooling is a linear layer and tanh on the class token."""

    model_type = "vit"
    architecture = "ViTModel"
    final_norm = "layernorm"
    position_table = "embeddings.position_embeddings"
    native_heads = ("pooler",)


class Dinov2Tower(VisionTower):
    """DINOv2; native pooling is the normalised class token."""

    model_type = "dinov2"
    architecture = "Dinov2Model"
    final_norm = "layernorm"
    position_table = "embeddings.position_embeddings"

    def unused_parameter_names(self) -> list[str]:
        """Return the mask token, which only pretraining reads."""
        return ["model.embeddings.mask_token"]


class ClipTextTower(TextTower):
    """CLIP's causal text tower; native pooling is the first end-of-text token, which is every text's last."""

    model_type = "clip_text_model"
    architecture = "CLIPTextModel"
    num_prefix = 0


class SiglipTextTower(TextTower):
    """SigLIP's text tower; native pooling is a linear layer on the last position, so texts are padded to one length."""

    model_type = "siglip_text_model"
    architecture = "SiglipTextModel"
    num_prefix = 0
    native_heads = ("head",)

    def _width(self, config: Any) -> int:
        return int(config.projection_size if self.pooling == "native" else config.hidden_size)


class BertTower(TextTower):
    """BERT; native pooling is a linear layer and tanh on the class token."""

    model_type = "bert"
    architecture = "BertModel"
    native_heads = ("pooler",)
