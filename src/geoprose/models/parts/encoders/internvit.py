"""InternViT, in both published styles.

300M: LayerNorm, bias on query, key and value. 6B: RMSNorm, RMSNorm over all heads of query and key, no such bias.
The config says which: ``norm_type``, ``use_qk_norm``, ``attention_bias``.
"""

from __future__ import annotations

from typing import Any

from transformers import InternVLVisionModel

from geoprose.models.parts.encoders.hf import HfEncoder


class InternvitEncoder(HfEncoder):
    """InternVL's image tower (class token first; the final layer has no norm).

    Source:
        arXiv:2312.14238; ``modeling_intern_vit.py`` of OpenGVLab/InternVL.
    """

    model_type = "internvl_vision"
    _num_prefix = 1
    _table = "embeddings.position_embeddings"
    _blocks = "encoder.layer"
    _final_norm = "layernorm"

    def _build_tower(self, config: Any) -> Any:
        return InternVLVisionModel._from_config(config)

    def _head_prefixes(self) -> tuple[str, ...]:
        # With mean pooling, as published, the norm behind the last layer is an identity without weights.
        return () if not self._layers or self.has_final_norm else ("layernorm",)
