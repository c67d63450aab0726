"""BLIP-2's first stage: image-text contrast, matching and generation, on one pass over the pictures.

Simpler than the published code: matching draws its negatives from the batch of this process, not of all; differing in
favour of exactness: contrast has gradients through what it gathers from other processes. There are no momentum queues,
as in BLIP-2.
"""

# N pairs of this process, M pairs of all, P patches, E encoder width, Q queries, T text tokens, C shared width

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from geoprose.core.errors import ConfigError
from geoprose.data.mixture import generator
from geoprose.models.dual.losses import softmax_contrastive_sum
from geoprose.training.access import picture_features
from geoprose.training.losses.pairs import PairLoss, matches
from geoprose.training.losses.qformer_words import QFormerWords, qformer_words, sight_mask
from geoprose.training.processes.distributed import first_row, gather_with_grad, rank

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.training.losses.base import Batch, Forward, LossContext

_FLOOR = 1e-4


@dataclass(frozen=True)
class Apart:
    """Pictures and texts of this process, each read alone.

    Attributes:
        pictures_NQC: Unit vectors of the queries.
        texts_NC: Unit vectors of the texts.
    """

    pictures_NQC: Tensor
    texts_NC: Tensor

    def similarity(self) -> Tensor:
        """Return the best query of each picture for each text (N, N), in -1..1."""
        return best_query(self.pictures_NQC, self.texts_NC)


def best_query(pictures_NQC: Tensor, texts_MC: Tensor) -> Tensor:
    """Return ``s_nm = max_q <z_nq, t_m>`` (N, M).

    Source:
        BLIP-2, arXiv:2301.12597, section 3.2, ITC.
    """
    return torch.einsum("nqc,mc->nqm", pictures_NQC, texts_MC).amax(1)


def draw_negatives(similarity_NM: Tensor, is_excluded_NM: Tensor, random: torch.Generator) -> Tensor:
    """Return one wrong candidate a row (N,), drawn by ``softmax(similarity) + 1e-4``: the more alike the likelier.

    Args:
        similarity_NM: Similarity over temperature.
        is_excluded_NM: True for candidates that are not wrong; each row must leave one.
        random: Of the processor, whatever device the tensors are on.

    Source:
        ALBEF, arXiv:2107.07651, section 3.3; the floor is that of salesforce/LAVIS ``blip2_qformer.py``.
    """
    weights_NM = (similarity_NM.detach().float().softmax(-1) + _FLOOR).masked_fill(is_excluded_NM, 0.0)
    return torch.multinomial(weights_NM.cpu(), 1, generator=random)[:, 0].to(similarity_NM.device)


def generation_loss_sum(logits_KV: Tensor, labels_K: Tensor, smoothing: float = 0.0) -> Tensor:
    """Return the label-smoothed cross-entropy, summed over words, in float32 or wider."""
    wide = logits_KV.to(torch.promote_types(logits_KV.dtype, torch.float32))
    return F.cross_entropy(wide, labels_K, reduction="sum", label_smoothing=smoothing)


class QFormerLoss(PairLoss):
    """What the three losses share: the words, and one pass over pictures and texts apart from each other."""

    kinds = ("composite", "encoder_decoder")

    def __init__(self, spec: Any, context: LossContext) -> None:
        super().__init__(spec, context)
        self.words: QFormerWords = qformer_words(spec, context)
        self._own: dict[str, nn.Parameter] = {}
        if context.shared.setdefault("qformer_words_trained_by", spec.type) == spec.type:
            self.learn(self.words.extra)

    def learn(self, parameters: dict[str, nn.Parameter]) -> None:
        """Add what this loss trains."""
        self._own |= parameters
        self.parameters = dict(self._own)

    def encode_partners(self, names: Sequence[str]) -> dict[str, Tensor]:
        """Return ``text_ids`` and ``text_mask`` (N, T)."""
        return self.words.encode(names)

    def features(self, forward: Forward) -> Tensor:
        """Return the patch features (N, P, E), and bring the words into the model's mode.

        Raises:
            ConfigError: If the weights of the words were taken apart by sharding.
        """
        if any(self.parameters[name] is not parameter for name, parameter in self._own.items()):
            raise ConfigError(
                f"Loss {self.spec.type} cannot train with sharded parameters; use plain data parallelism."
            )
        self.words.train(forward.model.training)
        return forward.once("picture_features", lambda: picture_features(forward.model, forward.batch))

    def apart(self, forward: Forward) -> Apart:
        """Return pictures and texts read apart."""
        features_NPE, batch, words = self.features(forward), forward.batch, self.words

        def read() -> Apart:
            pictures_NQC = words.heads.embed_pictures(words.qformer, features_NPE)
            return Apart(pictures_NQC, words.heads.embed_texts(words.qformer, batch["text_ids"], batch["text_mask"]))

        return forward.once("qformer_apart", read)


class ItcLoss(QFormerLoss):
    """Contrast: ``(CE(s / tau) + CE(s^T / tau)) / 2`` with the best query of a picture, smoothed labels, learnt tau."""

    def __init__(self, spec: Any, context: LossContext) -> None:
        super().__init__(spec, context)
        heads = self.words.heads
        named = {f"heads.{n}": p for n, p in heads.named_parameters() if not n.startswith("matching")}
        temperature = nn.Parameter(torch.tensor(float(spec.temperature)))
        context.shared["itc_temperature"] = temperature
        self.learn({**named, "temperature": temperature})

    def loss_sum(self, forward: Forward) -> Tensor:
        """Return the sum over the pairs of this process, against the pairs of all."""
        pair, found, temperature = (
            self.apart(forward),
            matches(forward.batch, self.spec),
            self.parameters["temperature"],
        )
        to_texts_NM = best_query(pair.pictures_NQC, gather_with_grad(pair.texts_NC)) / temperature
        to_pictures_NM = best_query(gather_with_grad(pair.pictures_NQC), pair.texts_NC).T / temperature
        masks, smoothing = (found.is_positive_NM, found.is_ignored_NM), self.spec.label_smoothing
        total = softmax_contrastive_sum(to_texts_NM, *masks, smoothing)
        return (total + softmax_contrastive_sum(to_pictures_NM, *masks, smoothing)) / 2


class ItmLoss(QFormerLoss):
    """Matching: right pairs, wrong pictures and wrong texts, judged by queries that see picture and text together."""

    def __init__(self, spec: Any, context: LossContext) -> None:
        super().__init__(spec, context)
        self.learn({f"heads.matching.{n}": p for n, p in self.words.heads.matching.named_parameters()})

    def num_items(self, batch: Batch) -> float:
        """Return the judged pairs: each right one, and two wrong ones where the batch holds a wrong partner."""
        excluded_NN = self._excluded(batch)
        return float(len(excluded_NN) + 2 * (~excluded_NN).any(1).sum())

    def loss_sum(self, forward: Forward) -> Tensor:
        """Return the sum of the cross-entropy over the judged pairs."""
        features_NPE, batch = self.features(forward), forward.batch
        ids_NT, mask_NT = batch["text_ids"], batch["text_mask"]
        rows, wrong_pictures, wrong_texts = self.negatives(forward)
        logits = self.words.heads.match(
            self.words.qformer,
            torch.cat([features_NPE, features_NPE[wrong_pictures], features_NPE[rows]]),
            torch.cat([ids_NT, ids_NT[rows], ids_NT[wrong_texts]]),
            torch.cat([mask_NT, mask_NT[rows], mask_NT[wrong_texts]]),
        )
        is_right = torch.arange(len(logits), device=logits.device) < len(ids_NT)
        return F.cross_entropy(
            logits.to(torch.promote_types(logits.dtype, torch.float32)), is_right.long(), reduction="sum"
        )

    def negatives(self, forward: Forward) -> tuple[Tensor, Tensor, Tensor]:
        """Return the rows that have wrong partners, and a wrong picture and a wrong text for each of them."""
        excluded_NN = self._excluded(forward.batch)
        rows = (~excluded_NN).any(1).nonzero()[:, 0]
        excluded = excluded_NN[rows]
        temperature = self.context.shared.get("itc_temperature")
        with torch.no_grad():
            if temperature is None:  # without contrast nothing says what is alike
                scores_NN = torch.zeros_like(excluded_NN, dtype=torch.float32)
            else:
                scores_NN = self.apart(forward).similarity() / temperature
            key = (self.context.seed, int(forward.batch["number"]), rank())
            random = torch.Generator().manual_seed(int(generator(*key).integers(2**62)))
            wrong_pictures = draw_negatives(scores_NN.T[rows], excluded, random) if len(rows) else rows
            wrong_texts = draw_negatives(scores_NN[rows], excluded, random) if len(rows) else rows
        return rows, wrong_pictures, wrong_texts

    def _excluded(self, batch: Batch) -> Tensor:
        """Return which partners in the batch of this process are not wrong (N, N)."""
        found, first = matches(batch, self.spec), first_row(len(batch["text_key"]))
        excluded_NM = found.is_positive_NM | found.is_ignored_NM
        return excluded_NM[:, first : first + len(excluded_NM)]


class ItgLoss(QFormerLoss):
    """Generation: each word from the queries and the words before it, behind ``[DEC]``."""

    whole_batch = False

    def __init__(self, spec: Any, context: LossContext) -> None:
        super().__init__(spec, context)
        self.learn({f"word_head.{n}": p for n, p in self.words.word_head.named_parameters()})

    def num_items(self, batch: Batch) -> float:
        """Return the words behind the start token."""
        return float(batch["text_mask"][:, 1:].sum())

    def loss_sum(self, forward: Forward) -> Tensor:
        """Return the sum over words."""
        features_NPE, words, mask_NT = self.features(forward), self.words, forward.batch["text_mask"]
        ids_NT = forward.batch["text_ids"].clone()
        ids_NT[:, 0] = words.start_id
        num_queries = words.qformer.query_tokens.shape[1]
        sight_NSS = sight_mask("causal", num_queries, mask_NT)
        hidden_NTH = words.qformer.read_both(features_NPE, ids_NT, sight_NSS)[:, num_queries:]
        is_said = mask_NT[:, 1:].bool()
        logits_KV = words.word_head(hidden_NTH[:, :-1][is_said])
        return generation_loss_sum(logits_KV, ids_NT[:, 1:][is_said], self.spec.label_smoothing)
