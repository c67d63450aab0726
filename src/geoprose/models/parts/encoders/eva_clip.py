"""EVA-CLIP-g as BLIP-2 uses it: 39 of its 40 blocks and a norm of their own behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers import Blip2VisionModel

from geoprose.core.errors import ConfigError
from geoprose.models.parts.encoders.hf import HfEncoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from transformers import PreTrainedConfig


class EvaClipEncoder(HfEncoder):
    """EVA-CLIP's image tower (class token first; the final layer passes through ``post_layernorm``).

    Args:
        config: Its vision config; ``qkv_bias`` is a bias of queries and values, that of keys is zero in checkpoints.
        feature_layer: As in ``HfEncoder``.
        pool: 1; nothing published pools these features.
        final_norm: As in ``HfEncoder``.
        truncate: As in ``HfEncoder``.
        keep_class: Whether the class token stays, as the first feature (BLIP-2), or goes (MiniGPT-v2).
        norm_eps: Epsilon of ``post_layernorm`` where it differs from that of the blocks (MiniGPT-v2: 1e-5).

    Source:
        EVA-CLIP arXiv:2303.15389; salesforce/LAVIS ``eva_vit.py`` and ``ln_vision``.
    """

    model_type = "blip_2_vision_model"
    # The class token counts as a feature here; forward drops it where it is not wanted.
    _num_prefix = 0
    _table = "embeddings.position_embedding"
    _blocks = "encoder.layers"
    _final_norm = "post_layernorm"

    def __init__(  # noqa: PLR0913, PLR0917 - flat keyword arguments are the contract of parts
        self,
        config: PreTrainedConfig,
        feature_layer: int | Sequence[int] | None = None,
        pool: int = 1,
        final_norm: bool = False,
        truncate: bool = False,
        keep_class: bool = True,
        norm_eps: float | None = None,
    ) -> None:
        if pool != 1:
            raise ConfigError(f"eva_clip cannot be pooled, got pool {pool}; set it to 1.")
        super().__init__(config, feature_layer, pool, final_norm, truncate)
        self.keeps_class = keep_class
        if norm_eps is not None:
            self.tower.post_layernorm.eps = norm_eps

    def _build_tower(self, config: PreTrainedConfig) -> Any:
        return Blip2VisionModel._from_config(config)

    def _head_prefixes(self) -> tuple[str, ...]:
        return () if not self._layers or self.has_final_norm else ("post_layernorm",)

    def forward(self, pixel_values_NCHW: Tensor) -> Tensor:
        """Return the class token, where it is kept, and patch features in raster order (N, P, E)."""
        tokens = super().forward(pixel_values_NCHW)
        return tokens if self.keeps_class else tokens[:, 1:]

    def num_patches(self) -> int:
        """Return P: patches, and the class token where it is kept."""
        return super().num_patches() + int(self.keeps_class)

    def num_prefix_positions(self) -> int:
        """Return 1: the row of the class token, kept or not."""
        return 1
