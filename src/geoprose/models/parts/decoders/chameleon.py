"""Chameleon's transformer without its image tokenizer, which is a vision encoder here."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from transformers import ChameleonConfig, ChameleonModel
from transformers.models.chameleon.configuration_chameleon import ChameleonVQVAEConfig

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

_SMALLEST_VQ = {
    "base_channels": 32,
    "channel_multiplier": [1],
    "num_res_blocks": 1,
    "latent_channels": 1,
    "embed_dim": 1,
    "num_embeddings": 1,
    "resolution": 1,
}


class ChameleonTextModel(ChameleonModel):  # type: ignore[misc]  # transformers is untyped
    """Queries and keys are normalised head by head; ``swin_norm`` puts the norms behind the blocks (34B).

    Source:
        arXiv:2405.09818 section 2.3.
    """

    config_class = ChameleonConfig

    def __init__(self, config: PreTrainedConfig) -> None:
        # Why a copy: the parent always builds a tokenizer; it gets the smallest one, which is dropped at once.
        smallest = deepcopy(config)
        smallest.vq_config = ChameleonVQVAEConfig(**_SMALLEST_VQ)
        smallest.vocabulary_map = {}
        super().__init__(smallest)
        # Why not ``self.config = config``: layers hold the copy, and both must name the same attention backend.
        self.config.vq_config, self.config.vocabulary_map = config.vq_config, config.vocabulary_map
        del self.vqmodel
