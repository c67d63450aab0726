"""The dual encoder: two towers, two projections, one scale.

Shapes: N pictures, C channels, H W pixels, B texts, T tokens, D shared width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedModel
from transformers.modeling_outputs import ModelOutput

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.models.dual.config import DualEncoderConfig
from geoprose.models.dual.losses import LOSSES
from geoprose.models.registries import TEXT_TOWERS, VISION_TOWERS

if TYPE_CHECKING:
    from geoprose.models.dual.towers import TextTower, VisionTower


@dataclass
class DualEncoderOutput(ModelOutput):  # type: ignore[misc]  # transformers is untyped
    """Loss (), logits (N, B) and (B, N), and the unit embeddings (N, D) and (B, D)."""

    loss: Tensor | None = None
    logits_per_image: Tensor | None = None
    logits_per_text: Tensor | None = None
    image_embeds: Tensor | None = None
    text_embeds: Tensor | None = None


def _part(config: dict[str, Any] | None) -> tuple[str, dict[str, Any]]:
    assert config is not None, "the config fills its parts"
    return str(config["type"]), {key: value for key, value in config.items() if key != "type"}


def _in_dtype_of(projection: nn.Module, pooled: Tensor) -> Tensor:
    """Cast what a frozen tower of lower precision says to the dtype of the projection behind it."""
    parameter = next(projection.parameters(), None)
    return pooled if parameter is None else pooled.to(parameter.dtype)


class GeoproseDualEncoder(PreTrainedModel):  # type: ignore[misc]  # transformers is untyped
    """Pictures and texts to one space; similarity is ``exp(t) * <x, y> + b`` of unit vectors.

    Attributes:
        vision: Pixels to a vector.
        text: Tokens to a vector.
        vision_projection: To the shared width; the identity where the tower ends there.
        text_projection: Likewise.
        logit_scale: t, a logarithm (1).
        logit_bias: b (1); None where the similarity has none.
    """

    config: DualEncoderConfig
    config_class = DualEncoderConfig
    base_model_prefix = "dual_encoder"
    main_input_name = "pixel_values"
    input_modalities = ("image", "text")
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True

    def __init__(self, config: DualEncoderConfig) -> None:
        super().__init__(config)
        assert config.projection is not None
        assert config.logits is not None
        name, options = _part(config.vision)
        self.vision: VisionTower = VISION_TOWERS.get(name)(config.vision_config, **options)
        name, options = _part(config.text)
        self.text: TextTower = TEXT_TOWERS.get(name)(config.text_config, **options)
        self.vision_projection = self._projection(self.vision.width, config.projection["vision"])
        self.text_projection = self._projection(self.text.width, config.projection["text"])
        self._check_widths(config.projection)
        self.logit_scale = nn.Parameter(torch.tensor([float(config.logits["scale_init"])]))
        self.logit_bias: nn.Parameter | None = None
        if config.logits["bias_init"] is not None:
            self.logit_bias = nn.Parameter(torch.tensor([float(config.logits["bias_init"])]))
        self.loss_of_logits = LOSSES[config.logits["loss"]]
        self.post_init()

    def _projection(self, width: int, is_wanted: bool) -> nn.Module:
        projection: Any = self.config.projection
        return nn.Linear(width, projection["dim"], bias=projection["bias"]) if is_wanted else nn.Identity()

    def _check_widths(self, projection: dict[str, Any]) -> None:
        widths = [
            projection["dim"] if projection[side] else tower.width
            for side, tower in (("vision", self.vision), ("text", self.text))
        ]
        if widths[0] != widths[1]:
            raise ConfigError(
                f"The vision side ends at width {widths[0]}, the text side at {widths[1]}; project both to one width."
            )
        self.embedding_width = int(widths[0])

    def _init_weights(self, module: nn.Module) -> None:
        # Why not super alone: it draws every Linear anew; the towers have drawn theirs by their own rules.
        if module in (self.vision_projection, self.text_projection) and isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    def save_pretrained(self, save_directory: Any, **kwargs: Any) -> Any:
        """Save under the names of this class; see ``PreTrainedModel.save_pretrained``."""
        kwargs.setdefault("save_original_format", False)
        return super().save_pretrained(save_directory, **kwargs)

    def freeze_unused(self) -> None:
        """Freeze what never gets a gradient."""
        self.vision.freeze_unused()
        self.text.freeze_unused()

    def embed_images(self, pixel_values: Tensor) -> Tensor:
        """Return unit vectors (N, D) of pictures (N, C, H, W)."""
        return self.project_pictures(self.vision(pixel_values))

    def project_pictures(self, pooled_NE: Tensor) -> Tensor:
        """Return unit vectors (N, D) of what the vision tower makes of pictures (N, E)."""
        return F.normalize(self.vision_projection(_in_dtype_of(self.vision_projection, pooled_NE)), dim=-1)

    def embed_texts(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Return unit vectors (B, D) of texts (B, T)."""
        pooled_BE = self.text(input_ids, attention_mask)
        return F.normalize(self.text_projection(_in_dtype_of(self.text_projection, pooled_BE)), dim=-1)

    def similarity(self, image_embeds_ND: Tensor, text_embeds_BD: Tensor) -> Tensor:
        """Return ``exp(t) * <x, y> + b`` (N, B) of unit vectors; the scale is cut off at ``logits.max_scale``."""
        assert self.config.logits is not None
        wider = torch.promote_types(image_embeds_ND.dtype, text_embeds_BD.dtype)  # one side may be frozen and rounded
        logits_NB = image_embeds_ND.to(wider) @ text_embeds_BD.to(wider).T
        logits_NB = logits_NB * self.logit_scale.exp().clamp(max=self.config.logits["max_scale"])
        return logits_NB if self.logit_bias is None else logits_NB + self.logit_bias

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        return_loss: bool = False,
    ) -> DualEncoderOutput:
        """Embed what is given, and compare when both are.

        Args:
            input_ids: Texts (B, T).
            pixel_values: Pictures (N, C, H, W).
            attention_mask: 1 for real tokens (B, T); left out for towers that were trained without.
            return_loss: Also return the contrastive loss; text i then belongs to picture i.

        Raises:
            ProcessingError: If nothing is given, or a loss is wanted of unequal numbers of pictures and texts.
        """
        if input_ids is None and pixel_values is None:
            raise ProcessingError("The dual encoder needs pixel_values, input_ids or both.")
        images_ND = None if pixel_values is None else self.embed_images(pixel_values)
        texts_BD = None if input_ids is None else self.embed_texts(input_ids, attention_mask)
        output = DualEncoderOutput(image_embeds=images_ND, text_embeds=texts_BD)
        if images_ND is None or texts_BD is None:
            return output
        output.logits_per_image = self.similarity(images_ND, texts_BD)
        output.logits_per_text = output.logits_per_image.T
        if return_loss:
            if len(images_ND) != len(texts_BD):
                raise ProcessingError(
                    f"The loss needs one text per picture, got {len(images_ND)} pictures and {len(texts_BD)} texts."
                )
            output.loss = self.loss_of_logits(output.logits_per_image)
        return output


AutoConfig.register("geoprose_dual_encoder", DualEncoderConfig, exist_ok=True)
AutoModel.register(DualEncoderConfig, GeoproseDualEncoder, exist_ok=True)
