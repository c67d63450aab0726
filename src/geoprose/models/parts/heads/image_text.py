"""Does a text belong to a picture: BLIP-2's contrast (ITC) and matching (ITM) heads over a Q-Former.

Shapes: N pictures, M texts, P patches, E encoder width, Q queries, T text tokens, H width of the Q-Former, C width of
the shared space.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

    from geoprose.models.parts.connectors.qformer import QFormerConnector


class ImageTextHeads(nn.Module):
    """Contrast scores every picture with every text apart; matching reads both together and judges one pair.

    Contrast: ``s(i, t) = max_q cos(W_v z_q, W_t h_cls)`` where the queries ``z`` see the picture alone and the words
    ``h`` the text alone. Matching: the mean over the queries, which see picture and text, of ``W z_q + b``; class 1
    says that they belong together.

    Args:
        hidden_size: Width H.
        shared_size: Width C.

    Source:
        BLIP-2 arXiv:2301.12597 section 3.2; reference code salesforce/LAVIS ``blip2_image_text_matching.py``.
    """

    def __init__(self, hidden_size: int = 768, shared_size: int = 256) -> None:
        super().__init__()
        self.vision_projection = nn.Linear(hidden_size, shared_size)
        self.text_projection = nn.Linear(hidden_size, shared_size)
        self.matching = nn.Linear(hidden_size, 2)

    def embed_pictures(self, qformer: QFormerConnector, features_NPE: Tensor) -> Tensor:
        """Return one unit vector per query (N, Q, C)."""
        return F.normalize(self.vision_projection(qformer.read_picture(features_NPE)), dim=-1)

    def embed_texts(self, qformer: QFormerConnector, ids_MT: Tensor, mask_MT: Tensor | None = None) -> Tensor:
        """Return one unit vector per text (M, C), read off its first token.

        Raises:
            ProcessingError: If the Q-Former has no words.
        """
        return F.normalize(self.text_projection(qformer.read_text(ids_MT, mask_MT)[:, 0]), dim=-1)

    def contrast(
        self, qformer: QFormerConnector, features_NPE: Tensor, ids_MT: Tensor, mask_MT: Tensor | None = None
    ) -> Tensor:
        """Return the similarity of every picture to every text (N, M), each in -1..1.

        Raises:
            ProcessingError: If the Q-Former has no words.
        """
        pictures_NQC = self.embed_pictures(qformer, features_NPE)
        texts_MC = self.embed_texts(qformer, ids_MT, mask_MT)
        return torch.einsum("nqc,mc->nqm", pictures_NQC, texts_MC).amax(1)

    def match(
        self, qformer: QFormerConnector, features_NPE: Tensor, ids_NT: Tensor, mask_NT: Tensor | None = None
    ) -> Tensor:
        """Return logits (N, 2) of each picture and the text beside it: [no, yes].

        Raises:
            ProcessingError: If the Q-Former has no words, or pictures and texts differ in number.
        """
        logits: Tensor = self.matching(qformer.queries(features_NPE, ids_NT, mask_NT)).mean(1)
        return logits
