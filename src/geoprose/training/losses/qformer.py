"""BLIP-2's first stage: image-text contrast, matching and generation, on one pass over the pictures.

As in the published code, contrast compares with the pairs of all processes, and matching draws its negatives from them,
with the gradient of a wrong picture sent back to the process that shows it. Differing in favour of exactness: contrast
has gradients through what it gathers from other processes too. There are no momentum queues, as in BLIP-2.

Source:
    salesforce/LAVIS ``lavis/models/blip2_models/blip2_qformer.py``: ``concat_all_gather`` of features and texts,
    ``all_gather_with_grad`` of what the vision encoder says.
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
from geoprose.training.losses.pairs import PairLoss, gather_texts, matches
from geoprose.training.losses.qformer_words import QFormerWords, qformer_words, sight_mask
from geoprose.training.processes.distributed import first_row, gather_with_grad, world_size

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

    def similarities(self) -> tuple[Tensor, Tensor]:
        """Return the best query of each picture here for each text anywhere, and of each text here for each picture.

        Both are (N, M), in -1..1; their gradients find their way to the process that they are about.
        """
        to_texts_NM = best_query(self.pictures_NQC, gather_with_grad(self.texts_NC))
        to_pictures_MN = best_query(gather_with_grad(self.pictures_NQC), self.texts_NC)
        return to_texts_NM, to_pictures_MN.T


def best_query(pictures_NQC: Tensor, texts_MC: Tensor) -> Tensor:
    """Return ``s_nm = max_q <z_nq, t_m>`` (N, M).

    Source:
        BLIP-2, arXiv:2301.12597, section 3.2, ITC.
    """
    return torch.einsum("nqc,mc->nqm", pictures_NQC, texts_MC).amax(1)


def draw_negatives(similarity_NM: Tensor, is_excluded_NM: Tensor, chance_N: Tensor) -> Tensor:
    """Return one wrong candidate a row (N,), drawn by ``softmax(similarity) + 1e-4``: the more alike the likelier.

    Args:
        similarity_NM: Similarity over temperature.
        is_excluded_NM: True for candidates that are not wrong; each row must leave one.
        chance_N: A random number a row, float32, at least 0 and below 1: where in the distribution the candidate lies.

    Source:
        ALBEF, arXiv:2107.07651, section 3.3; the floor is that of salesforce/LAVIS ``blip2_qformer.py``.
    """
    weights_NM = (similarity_NM.detach().float().softmax(-1) + _FLOOR).masked_fill(is_excluded_NM, 0.0)
    # Why not torch.multinomial: a row must draw the same whichever other rows its process holds.
    reached_NM = weights_NM.double().cumsum(-1)
    place_N1 = chance_N.double()[:, None] * reached_NM[:, -1:]
    return torch.searchsorted(reached_NM, place_N1, right=True)[:, 0]


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

    def similarities(self, forward: Forward) -> tuple[Tensor, Tensor]:
        """Return ``Apart.similarities``; contrast and matching gather once."""
        return forward.once("qformer_similarities", self.apart(forward).similarities)


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
        found, temperature = matches(forward.batch, self.spec), self.parameters["temperature"]
        to_texts_NM, to_pictures_NM = (scores / temperature for scores in self.similarities(forward))
        masks, smoothing = (found.is_positive_NM, found.is_ignored_NM), self.spec.label_smoothing
        total = softmax_contrastive_sum(to_texts_NM, *masks, smoothing)
        return (total + softmax_contrastive_sum(to_pictures_NM, *masks, smoothing)) / 2


class ItmLoss(QFormerLoss):
    """Matching: right pairs, wrong pictures and wrong texts, judged by queries that see picture and text together.

    The wrong partners come from the pairs of all processes. A pair draws the same ones however many processes share the
    batch.
    """

    def __init__(self, spec: Any, context: LossContext) -> None:
        super().__init__(spec, context)
        self.learn({f"heads.matching.{n}": p for n, p in self.words.heads.matching.named_parameters()})

    def num_items(self, batch: Batch) -> float:
        """Return the judged pairs: each right one, and two wrong ones where there is a wrong partner."""
        excluded_NM = self._excluded(batch)
        return float(len(excluded_NM) + 2 * (~excluded_NM).any(1).sum())

    def loss_sum(self, forward: Forward) -> Tensor:
        """Return the sum of the cross-entropy over the judged pairs."""
        features_NPE, batch = self.features(forward), forward.batch
        (ids_NT, mask_NT), (all_ids_MT, all_mask_MT) = gather_texts(batch["text_ids"], batch["text_mask"])
        rows, wrong_pictures, wrong_texts = self.negatives(forward)
        # Contract: gathered even where no row has a wrong partner; the other processes wait for this one.
        all_features_MPE = gather_with_grad(features_NPE)
        logits = self.words.heads.match(
            self.words.qformer,
            torch.cat([features_NPE, all_features_MPE[wrong_pictures], features_NPE[rows]]),
            torch.cat([ids_NT, ids_NT[rows], all_ids_MT[wrong_texts]]),
            torch.cat([mask_NT, mask_NT[rows], all_mask_MT[wrong_texts]]),
        )
        is_right = torch.arange(len(logits), device=logits.device) < len(ids_NT)
        return F.cross_entropy(
            logits.to(torch.promote_types(logits.dtype, torch.float32)), is_right.long(), reduction="sum"
        )

    def negatives(self, forward: Forward) -> tuple[Tensor, Tensor, Tensor]:
        """Return the rows that have wrong partners, and a wrong picture and text for each, counted over processes."""
        batch = forward.batch
        excluded_NM = self._excluded(batch)
        rows = (~excluded_NM).any(1).nonzero()[:, 0]
        temperature = self.context.shared.get("itc_temperature")
        to_texts_NM = to_pictures_NM = torch.zeros_like(excluded_NM, dtype=torch.float32)
        if temperature is not None:  # without contrast nothing says what is alike
            # Why with gradient: contrast reads the same scores, perhaps after this loss.
            to_texts_NM, to_pictures_NM = (scores / temperature for scores in self.similarities(forward))
        picture_N, text_N = self._chances(batch, *excluded_NM.shape)
        wrong_pictures = draw_negatives(to_pictures_NM[rows], excluded_NM[rows], picture_N[rows])
        wrong_texts = draw_negatives(to_texts_NM[rows], excluded_NM[rows], text_N[rows])
        return rows, wrong_pictures, wrong_texts

    def _chances(self, batch: Batch, num_rows: int, num_all: int) -> Tensor:
        """Return two random numbers a pair (2, N), a function of seed, step and the pair's place among all."""
        # Contract: one micro-batch a step (``whole_batch``), of which each process takes one.
        step = int(batch["number"]) // world_size()
        random = torch.Generator().manual_seed(int(generator(self.context.seed, step).integers(2**62)))
        first = first_row(num_rows)
        own = torch.rand(2, num_all, generator=random)[:, first : first + num_rows]
        return own.to(batch["text_key"].device)

    def _excluded(self, batch: Batch) -> Tensor:
        """Return which partners are not wrong (N, M)."""
        found = matches(batch, self.spec)
        return found.is_positive_NM | found.is_ignored_NM


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
