"""The plain ViT, and its stem alone: patches through one convolution plus their positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers import ViTModel

from geoprose.models.parts.encoders.hf import HfEncoder

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedConfig

_STEM = (0,)


class VitEncoder(HfEncoder):
    """ViT (class token first; the final layer passes through ``layernorm``).

    ``feature_layer`` 0 with ``truncate`` is the stem alone: patch embeddings plus positions, no block (EM-VLM4AD).

    Source:
        arXiv:2010.11929.
    """

    model_type = "vit"
    _num_prefix = 1
    _table = "embeddings.position_embeddings"
    _blocks = "layers"
    _final_norm = "layernorm"

    def _build_tower(self, config: PreTrainedConfig) -> Any:
        return ViTModel(config, add_pooling_layer=False)

    def _head_prefixes(self) -> tuple[str, ...]:
        if not self._layers or self.has_final_norm:
            return ()
        # The class token reaches patches through attention only.
        return ("layernorm", "embeddings.cls_token") if self._layers == _STEM else ("layernorm",)

    def is_dropped(self, name: str) -> bool:
        """Tell whether a weight belongs to a block that is left out, or to the pooler, which nothing here reads."""
        return name.startswith("pooler.") or super().is_dropped(name)

    def forward(self, pixel_values_NCHW: Tensor) -> Tensor:
        """Return patch features (N, P, E) in raster order; pixels are cast to the encoder's dtype."""
        if self._layers != _STEM:
            return super().forward(pixel_values_NCHW)
        # Why not super: transformers records hidden states at blocks, and a stem has none.
        stem: Any = self.tower.get_submodule("embeddings")
        patches: Tensor = self._normed(stem(pixel_values_NCHW.to(self.tower.dtype)))[:, self._num_prefix :]
        return patches if self.pool == 1 else self._average(patches)
