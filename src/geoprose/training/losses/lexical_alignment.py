"""Draw visual tokens to the word embeddings of what they show; no language-model pass is needed.

A language model reads a visual token as if it were a word. At the start of training those vectors are noise, and
with little data the adapters learn the answers' statistics before the connector says anything: the system stays
blind. This loss gives the connector a language first.
"""

# N images (tiles), V visual tokens per image (U of them show something), D language-model width, C classes or words

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from geoprose.training.losses.base import Batch, Forward, LossContext, StageLoss
from geoprose.training.losses.supervision import (
    caption_vocabulary,
    caption_words,
    cell_targets,
    labelled_pictures,
    token_cover,
    word_embeddings,
)

if TYPE_CHECKING:
    import numpy as np

    from geoprose.data.collator import Row
    from geoprose.training.losses.supervision import Pictures


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
        targets_NVD: What each token should say: ``t_v = sum_c f_vc e_c``, the composition-weighted mean of the word
            embeddings.
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


def lexical_readout(
    visual_tokens_NVD: Tensor,
    shares_NVC: Tensor,
    weights_NV: Tensor,
    directions_CD: Tensor,
    affine: tuple[Tensor, Tensor],
) -> Tensor:
    """Cross-entropy of reading the classes below a token along the directions of the class words, summed over tokens.

    ``p_v = softmax(a (z_v . u_c) + b_c)`` over the classes with ``u_c`` the unit vector of the centred embedding of
    class word c, and ``L = - sum_v w_v sum_c f_vc log p_vc``. Cosine alone is content with
    the common direction of all words; this term asks for what tells them apart.

    Args:
        visual_tokens_NVD: Output of the connector, in units of the embeddings' deviation.
        shares_NVC: ``f``, summing to 1 over the classes where a token is labelled.
        weights_NV: ``w``.
        directions_CD: ``u``.
        affine: ``a`` (scalar) and ``b`` (C), learnt.
    """
    scale, bias_C = affine
    logits_NVC = _wide(visual_tokens_NVD) @ _wide(directions_CD).T * scale + bias_C
    losses_NV = -(shares_NVC.to(logits_NVC.dtype) * logits_NVC.log_softmax(-1)).sum(-1)
    return (losses_NV * weights_NV.to(losses_NV.dtype)).sum()


def class_directions(embeddings_CD: Tensor) -> Tensor:
    """Return the unit vector of each embedding's difference from the mean embedding (C, D)."""
    return F.normalize(embeddings_CD - embeddings_CD.mean(0), dim=-1)


class LexicalAlignmentLoss(StageLoss):
    """Either form as a recipe's loss; which supervision it uses is written in the recipe."""

    needs_text = False
    one_tile = True

    def __init__(self, spec: Any, context: LossContext) -> None:
        super().__init__(spec, context)
        system = context.system
        self.uses_cells = spec.supervision == "cells"
        self.key = f"lexical_{spec.supervision}"  # a stage may use both kinds side by side
        places, self.cover_US = token_cover(system.model.model.connector, system.model.model.num_visual_tokens)
        self.places = torch.from_numpy(places)
        if self.uses_cells:
            self.labelled = labelled_pictures(context.sources)
            named = {name for cells in self.labelled.values() for cell in cells for name in cell}
            self.classes = tuple(sorted({*spec.words, *named}))
            words = [spec.words.get(name, name) for name in self.classes]
        else:
            self.classes = tuple(sorted(set(spec.words.values())) or caption_vocabulary(context.samples))
            words = list(self.classes)
        self.embeddings_CD = word_embeddings(system, words).float()
        self.scale = float(self.embeddings_CD.square().mean().sqrt())
        self.deviation = float(system.model.get_input_embeddings().weight.detach().float().std())
        self._targets: dict[Pictures, np.ndarray] = {}
        if self.uses_cells and spec.readout_weight:
            start = torch.tensor(float(spec.readout_start))
            self.parameters = {"scale": nn.Parameter(start), "bias": nn.Parameter(torch.zeros(len(self.classes)))}

    def add_targets(self, row: Row, unit: Any) -> None:
        """Attach shares and weights (images, U, C + 1) or the said words (images, C) of the unit's images."""
        if not self.uses_cells:
            row.targets[self.key] = caption_words(unit, self.classes)
            return
        key = (unit.root, unit.images)
        if key not in self._targets:
            self._targets[key] = cell_targets(self.labelled[key], unit.images, self.classes, self.cover_US)
        row.targets[self.key] = self._targets[key]

    def num_items(self, batch: Batch) -> float:
        """Return the weight of the tokens (labelled ones, in whole tokens), or the said words."""
        targets = batch[self.key][..., -1] if self.uses_cells else batch[self.key]
        return float(targets.sum())

    def loss_sum(self, forward: Forward) -> Tensor:
        """Project the cached features and compare; the language model does not run.

        Tokens that show nothing are left out, and so are position vectors: they say where, the targets say what.
        """
        model, batch = forward.model, forward.batch
        features = batch.get("vision_features")
        if features is None:
            features = model.model.encode_images(batch["pixel_values"])
        tokens_NVD = model.model.project(features)
        positions = getattr(model.model.connector, "position_vectors", None)
        if positions is not None:
            tokens_NVD = tokens_NVD - positions
        tokens_NVD = tokens_NVD[:, self.places.to(tokens_NVD.device)]
        embeddings_CD = self.embeddings_CD.to(tokens_NVD.device)
        if not self.uses_cells:
            return lexical_alignment_captions(tokens_NVD, embeddings_CD, batch[self.key] > 0, self.spec.temperature)
        shares_NVC, weights_NV = batch[self.key][..., :-1], batch[self.key][..., -1]
        targets_NVD = shares_NVC @ embeddings_CD
        loss = lexical_alignment(tokens_NVD, targets_NVD, weights_NV, self.spec.distance, self.scale)
        if self.parameters:
            affine = (self.parameters["scale"], self.parameters["bias"])
            directions_CD = class_directions(embeddings_CD)
            readout = lexical_readout(tokens_NVD / self.deviation, shares_NVC, weights_NV, directions_CD, affine)
            loss = loss + self.spec.readout_weight * readout
        return loss


def _wide(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()
