"""Contrastive losses of dual encoders: clip and siglip."""

# N pairs of this process, M pairs of all processes, E width of a tower, D shared width

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from geoprose.core.errors import ConfigError
from geoprose.models.dual.losses import sigmoid_contrastive_sum, softmax_contrastive_sum
from geoprose.training.access import picture_features
from geoprose.training.losses.pairs import PairLoss, in_chunks, matches
from geoprose.training.processes.distributed import gather_with_grad

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.training.losses.base import Batch, Forward, LossContext


class TowerLoss(PairLoss):
    """What clip and siglip share."""

    kinds = ("dual_encoder",)

    def encode_partners(self, names: Sequence[str]) -> dict[str, Tensor]:
        """Return ``text_ids`` (N, T), and ``text_mask`` where the text tower reads one."""
        encoded = self.context.system.processor.encode_texts(names)
        names_of = {"input_ids": "text_ids", "attention_mask": "text_mask"}
        return {names_of[name]: value for name, value in encoded.items()}

    def embeddings(self, forward: Forward) -> tuple[Tensor, Tensor]:
        """Return the unit vectors (N, D) of the pictures and texts of this process."""
        return forward.once("tower_embeddings", lambda: self._embed(forward.model, forward.batch))

    def _embed(self, model: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        def pictures(features: Tensor | None, pixels: Tensor | None) -> Tensor:
            given = {"vision_features": features, "pixel_values": pixels}
            unit: Tensor = model.project_pictures(picture_features(model, given)[:, 0])
            return unit

        sources = (batch.get("vision_features"), batch.get("pixel_values"))
        pictures_ND = in_chunks(pictures, sources, self.spec.chunk_pairs)
        texts = (batch["text_ids"], batch.get("text_mask"))
        return pictures_ND, in_chunks(model.embed_texts, texts, self.spec.chunk_pairs)


class ClipLoss(TowerLoss):
    """Symmetric InfoNCE; every pair counts half as a picture that looks for its text and half the other way round."""

    def loss_sum(self, forward: Forward) -> Tensor:
        """Return the sum over the pairs of this process, against the pairs of all."""
        model, found = forward.model, matches(forward.batch, self.spec)
        hold_scale(model)
        pictures_ND, texts_ND = self.embeddings(forward)
        to_texts_NM = model.similarity(pictures_ND, gather_with_grad(texts_ND))
        to_pictures_NM = model.similarity(gather_with_grad(pictures_ND), texts_ND).T
        total = softmax_contrastive_sum(to_texts_NM, found.is_positive_NM, found.is_ignored_NM)
        return (total + softmax_contrastive_sum(to_pictures_NM, found.is_positive_NM, found.is_ignored_NM)) / 2


class SiglipLoss(TowerLoss):
    """Every picture with every text is a question of its own, answered by a sigmoid.

    Raises:
        ConfigError: If the similarity has no bias: with one right pair in N, training would first have to find it.
    """

    def __init__(self, spec: Any, context: LossContext) -> None:
        super().__init__(spec, context)
        if context.system.model.logit_bias is None:
            raise ConfigError(
                f"Loss siglip needs a learnt bias; system {context.system.spec.name} has none. Set logits: {{loss: "
                "sigmoid, scale_init: 2.3026, bias_init: -10.0} in a preset of your own, as SigLIP does."
            )

    def loss_sum(self, forward: Forward) -> Tensor:
        """Return the sum over the pictures of this process and the texts of all."""
        found = matches(forward.batch, self.spec)
        hold_scale(forward.model)
        pictures_ND, texts_ND = self.embeddings(forward)
        logits_NM = forward.model.similarity(pictures_ND, gather_with_grad(texts_ND))
        return sigmoid_contrastive_sum(logits_NM, found.is_positive_NM, found.is_ignored_NM)


def hold_scale(model: Any) -> None:
    """Bring a scale that grew past ``logits.max_scale`` back to it, as CLIP does between steps.

    Without it the scale would stay beyond the bound for ever: the bound has no gradient there.
    """
    with torch.no_grad():
        model.logit_scale.clamp_(max=math.log(model.config.logits["max_scale"]))
