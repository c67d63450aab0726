"""The dense model: towers of a dual encoder, and a head that makes masks of what they see.

Shapes: N places, T dates, C channels, H W pixels, K prompts, S tokens, D shared width, L classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedModel
from transformers.modeling_outputs import ModelOutput

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.models.dense.config import DenseConfig
from geoprose.models.dense.contracts import DateFeatures, DenseHead
from geoprose.models.registries import DENSE_HEADS, TEXT_TOWERS, VISION_TOWERS

if TYPE_CHECKING:
    from geoprose.models.dual.towers import TextTower, VisionTower

IGNORED = 255
"""Label of pixels that carry no loss, as remote-sensing masks use it."""


@dataclass
class DenseOutput(ModelOutput):  # type: ignore[misc]  # transformers is untyped
    """Loss () and class scores (N, L, H, W) at the size of the pictures."""

    loss: Tensor | None = None
    logits: Tensor | None = None


class GeoproseDense(PreTrainedModel):  # type: ignore[misc]  # transformers is untyped
    """Pictures and prompts to a mask.

    Attributes:
        vision: The vision tower of a dual encoder.
        text: Its text tower.
        vision_projection: To the shared width; patches pass it too.
        text_projection: Likewise.
        head: Features to scores.
    """

    config: DenseConfig
    config_class = DenseConfig
    base_model_prefix = "dense"
    main_input_name = "pixel_values"
    input_modalities = ("image", "text")
    supports_gradient_checkpointing = True
    _supports_sdpa = True

    def __init__(self, config: DenseConfig) -> None:
        super().__init__(config)
        vision, text, head = (dict(part or {}) for part in (config.vision, config.text, config.head))
        self.vision: VisionTower = VISION_TOWERS.get(vision.pop("type"))(config.vision_config, **vision)
        self.text: TextTower = TEXT_TOWERS.get(text.pop("type"))(config.text_config, **text)
        self.vision_projection = nn.Linear(self.vision.width, config.embedding_dim, bias=False)
        self.text_projection = nn.Linear(self.text.width, config.embedding_dim, bias=False)
        self.head: DenseHead = DENSE_HEADS.get(head.pop("type"))(self.vision.width, config.embedding_dim, **head)
        self.layers = self._checked(config.layers or [])
        self.post_init()

    def _checked(self, layers: list[int]) -> tuple[int, ...]:
        depth = int(self.vision.model.config.num_hidden_layers)
        if len(layers) != 4 or not all(0 < layer <= depth for layer in layers):
            raise ConfigError(f"layers must name four blocks of 1 to {depth}, got {layers}.")
        return tuple(layers)

    def _init_weights(self, module: nn.Module) -> None:
        """Leave everything as its own class drew it."""

    def save_pretrained(self, save_directory: Any, **kwargs: Any) -> Any:
        """Save under the names of this class; see ``PreTrainedModel.save_pretrained``."""
        kwargs.setdefault("save_original_format", False)
        return super().save_pretrained(save_directory, **kwargs)

    def freeze_unused(self) -> None:
        """Freeze what never gets a gradient."""
        self.vision.freeze_unused()
        self.text.freeze_unused()

    def features(self, pixel_values_NCHW: Tensor) -> DateFeatures:
        """Return what the vision tower says about the pictures of one date."""
        (*maps, last), pooled_NE = self.vision.maps(pixel_values_NCHW, [*self.layers, -1])
        # Patches go the way of the class token: the norm behind the last block, then the projection.
        patches_NhwE = self.vision.normed(last.permute(0, 2, 3, 1))
        patches_NDhw = self.vision_projection(patches_NhwE).permute(0, 3, 1, 2)
        return DateFeatures(maps, patches_NDhw, self.vision_projection(pooled_NE))

    def forward(
        self,
        pixel_values: Tensor,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> DenseOutput:
        """Return class scores of every pixel.

        Args:
            pixel_values: (N, T, C, H, W) for heads that compare dates, else (N, C, H, W).
            input_ids: One prompt per class (K, S).
            attention_mask: 1 for real tokens (K, S).
            labels: Classes (N, H, W); 255 carries no loss.

        Raises:
            ProcessingError: If the number of dates is not what the head compares.
        """
        dates_NTCHW = pixel_values.unsqueeze(1) if pixel_values.ndim == 4 else pixel_values
        if dates_NTCHW.ndim != 5 or dates_NTCHW.shape[1] != self.head.num_dates:
            raise ProcessingError(
                f"This head compares {self.head.num_dates} date(s): give pixel_values of shape (N, "
                f"{self.head.num_dates}, C, H, W), got {tuple(pixel_values.shape)}."
            )
        texts_KD = self.text_projection(self.text(input_ids, attention_mask))
        dates = [self.features(dates_NTCHW[:, index]) for index in range(self.head.num_dates)]
        scores = self.head(dates, texts_KD)
        logits = F.interpolate(scores, size=dates_NTCHW.shape[-2:], mode="bilinear", align_corners=False)
        loss = None if labels is None else F.cross_entropy(logits.float(), labels, ignore_index=IGNORED)
        return DenseOutput(loss=loss, logits=logits)


AutoConfig.register("geoprose_dense", DenseConfig, exist_ok=True)
AutoModel.register(DenseConfig, GeoproseDense, exist_ok=True)
