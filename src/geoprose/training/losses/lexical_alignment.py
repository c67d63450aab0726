"""Draw visual tokens to the word embeddings of what they show; no language-model pass is needed.

A language model reads a visual token as if it were a word. At the start of training those vectors are noise, and
with little data the adapters learn the answers' statistics before the connector says anything: the system stays
blind. This loss gives the connector a language first.
"""

# N images (tiles), V visual tokens per image, D width of the language model, C classes or words

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from geoprose.training.losses.base import Batch, StageLoss
from geoprose.training.losses.supervision import (
    caption_vocabulary,
    caption_words,
    cell_targets,
    grids_of,
    word_embeddings,
)


def mixture_targets(composition_NVC: Tensor, embeddings_CD: Tensor) -> tuple[Tensor, Tensor]:
    """Return the composition-weighted mean embedding of each token, and how much of the token is labelled.

    ``t_v = sum_c f_vc e_c / sum_c f_vc``, weight ``w_v = sum_c f_vc`` (1 where every pixel has a label).

    Returns:
        Targets (N, V, D), zero where nothing is labelled, and weights (N, V).
    """
    weights_NV = composition_NVC.sum(-1)
    shares_NVC = composition_NVC / weights_NV.clamp_min(1e-9).unsqueeze(-1)
    return shares_NVC.to(embeddings_CD.dtype) @ embeddings_CD, weights_NV


def lexical_alignment(
    visual_tokens_NVD: Tensor,
    targets_NVD: Tensor,
    weights_NV: Tensor,
    distance: Literal["mse", "cosine"] = "mse",
    scale: float = 1.0,
) -> Tensor:
    """Dense lexical alignment, summed over tokens, in float32 or wider.

    ``L = sum_v w_v d(z_v, t_v)`` with ``d = |z - t|^2 / (D s^2)`` (``mse``; ``s`` is ``scale``, the root mean square of
    the embeddings, so that the loss has no unit) or ``d = 1 - cos(z, t)`` (``cosine``).

    Args:
        visual_tokens_NVD: Output of the connector.
        targets_NVD: What each token should say, e.g. from ``mixture_targets``.
        weights_NV: Weight of each token; 0 leaves it out.
        distance: ``mse`` or ``cosine``.
        scale: Root mean square of the embedding values (``mse`` only).
    """
    tokens, targets = _wide(visual_tokens_NVD), _wide(targets_NVD)
    if distance == "cosine":
        distances_NV = 1.0 - F.cosine_similarity(tokens, targets, dim=-1)
    else:
        distances_NV = (tokens - targets).square().mean(-1) / scale**2
    return (distances_NV * weights_NV.to(distances_NV.dtype)).sum()


def lexical_alignment_captions(
    visual_tokens_NVD: Tensor, embeddings_CD: Tensor, is_said_NC: Tensor, temperature: float = 0.1
) -> Tensor:
    """Multiple-instance lexical alignment for images that have only a caption, summed over said words.

    Each word of the caption must be matched by at least one visual token, and better than words that are not said:

    ``s_nc = tau log( mean_v exp(cos(z_nv, e_c) / tau) )`` (soft maximum over the tokens of image n),
    ``L = - sum_n sum_(c said) [ s_nc / tau - log( exp(s_nc / tau) + sum_(c' not said) exp(s_nc' / tau) ) ]``.

    A said word competes only with unsaid ones, so two words of one caption do not push each other away.

    Args:
        visual_tokens_NVD: Output of the connector.
        embeddings_CD: Embedding of each word of the vocabulary.
        is_said_NC: True where the caption of image n holds word c.
        temperature: ``tau``.
    """
    tokens = F.normalize(_wide(visual_tokens_NVD), dim=-1)
    words = F.normalize(_wide(embeddings_CD), dim=-1)
    similarity_NVC = tokens @ words.T / temperature
    num_tokens = torch.tensor(float(similarity_NVC.shape[1]), dtype=similarity_NVC.dtype)
    score_NC = similarity_NVC.logsumexp(1) - num_tokens.log()
    unsaid_N1 = score_NC.masked_fill(is_said_NC, -torch.inf).logsumexp(1, keepdim=True)
    losses_NC = torch.logaddexp(score_NC, unsaid_N1) - score_NC
    return losses_NC.masked_fill(~is_said_NC, 0.0).sum()


class LexicalAlignmentLoss(StageLoss):
    """Either form as a recipe's loss; which supervision it uses is written in the recipe."""

    needs_text = False

    def __init__(self, spec: Any, system: Any, samples: Any) -> None:
        super().__init__(spec, system, samples)
        if spec.supervision == "cells":
            self.classes = _classes(spec, samples)
            words = [spec.words.get(name, name) for name in self.classes]
        else:
            words = sorted(set(spec.words.values())) or caption_vocabulary(samples)
            self.classes = tuple(words)
        self.embeddings_CD = word_embeddings(system, words).float()
        self.scale = float(self.embeddings_CD.square().mean().sqrt())

    def add_targets(self, row: Any, unit: Any) -> None:
        """Attach the compositions (images, V, C) or the said words (images, C) of the unit's images."""
        build = cell_targets if self.spec.supervision == "cells" else caption_words
        row.targets["lexical"] = build(unit, self.classes, row.num_visual_tokens)

    def num_items(self, batch: Batch) -> float:
        """Return the labelled tokens (in whole tokens), or the said words."""
        return float(batch["lexical"].sum())

    def loss_sum(self, model: Any, batch: Batch) -> Tensor:
        """Project the cached features and compare; the language model does not run."""
        features = batch.get("vision_features")
        if features is None:
            features = model.model.encode_images(batch["pixel_values"])
        tokens_NVD = model.model.project(features)
        embeddings_CD = self.embeddings_CD.to(tokens_NVD.device)
        if self.spec.supervision == "captions":
            return lexical_alignment_captions(tokens_NVD, embeddings_CD, batch["lexical"] > 0, self.spec.temperature)
        targets_NVD, weights_NV = mixture_targets(batch["lexical"], embeddings_CD)
        return lexical_alignment(tokens_NVD, targets_NVD, weights_NV, self.spec.distance, self.scale)


def _classes(spec: Any, samples: Any) -> tuple[str, ...]:
    found: set[str] = set(spec.words)
    for sample in samples:
        for grid in grids_of(sample):
            found.update(name for row in grid for cell in row for name in cell)
    return tuple(sorted(found))


def _wide(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()
