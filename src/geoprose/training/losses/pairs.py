"""What the losses over the pairs of a batch share: who belongs to whom, and embedding in chunks."""

# N pairs of this process, M pairs of all processes

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from geoprose.core.errors import DataError
from geoprose.training.losses.base import Batch, StageLoss
from geoprose.training.processes.distributed import first_row, gather_with_grad, largest_of_ranks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from geoprose.data.mixture import Unit
    from geoprose.training.specs.loss_contrastive import PairLossSpec


@dataclass(frozen=True)
class Matches:
    """Which of M candidates belong to each of N rows.

    Attributes:
        is_positive_NM: True for right pairs, at least one a row.
        is_ignored_NM: True for pairs that are neither right nor wrong.
    """

    is_positive_NM: Tensor
    is_ignored_NM: Tensor


def matches(batch: Batch, spec: PairLossSpec) -> Matches:
    """Return who belongs to whom: each pair to itself, and by ``same_text`` and ``same_picture`` to its likes.

    Args:
        batch: Holds ``text_key`` and ``picture_key`` (N,).
        spec: What pairs are to each other that share a text or a picture; ``positive`` wins over ``ignore``.
    """
    own, number = batch["text_key"], torch.arange(len(batch["text_key"]), device=batch["text_key"].device)
    positive_NM = torch.zeros(len(own), len(all_rows(own)), dtype=torch.bool, device=own.device)
    ignored_NM = positive_NM.clone()
    for key, policy in (("text_key", spec.same_text), ("picture_key", spec.same_picture)):
        if policy != "negative":
            is_same_NM = batch[key][:, None] == all_rows(batch[key])[None, :]
            chosen = positive_NM if policy == "positive" else ignored_NM
            chosen |= is_same_NM
    positive_NM[number, first_row(len(own)) + number] = True
    return Matches(positive_NM, ignored_NM & ~positive_NM)


def all_rows(values_N: Tensor) -> Tensor:
    """Return the whole numbers of all processes in order of rank (M,); their counts may differ."""
    return gather_with_grad(values_N)


def gather_texts(ids_NT: Tensor, mask_NT: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return tokens and mask of the texts of this process (N, T), and of all (M, T), padded to the longest of all."""
    missing = largest_of_ranks(ids_NT.shape[1]) - ids_NT.shape[1]
    ids, mask = (torch.nn.functional.pad(tensor, (0, missing)) for tensor in (ids_NT, mask_NT))
    return (ids, mask), (all_rows(ids), all_rows(mask))


def in_chunks(embed: Callable[..., Tensor], inputs: Sequence[Tensor | None], chunk: int | None) -> Tensor:
    """Return ``embed(*inputs)``, which treats its rows one by one, at the memory of ``chunk`` rows.

    Nothing of a chunk is kept but its result; the backward pass computes it again, with the same random numbers. So
    loss and gradient are those of the whole batch.

    Args:
        embed: Tensors of n rows to a tensor of n rows.
        inputs: Its arguments; None stays None.
        chunk: Rows at a time; None: all, without computing anything twice.

    Source:
        GradCache, arXiv:2101.06983; written as one recomputation per chunk instead of a second loop.
    """
    size = next(len(value) for value in inputs if value is not None)
    if chunk is None or chunk >= size:
        return embed(*inputs)
    parts = []
    for start in range(0, size, chunk):
        part = [None if value is None else value[start : start + chunk] for value in inputs]
        parts.append(checkpoint(embed, *part, use_reentrant=False))
    return torch.cat(parts)


class PairLoss(StageLoss):
    """A loss that compares every pair of a batch with every other."""

    feed = "pairs"
    needs_text = False
    whole_batch = True
    one_tile = True

    def partner_of(self, pair: Unit) -> str:
        """Return what stands beside the picture of a unit of one sample: its last answer.

        Raises:
            DataError: If there is none.
        """
        (sample,) = pair.samples
        answers = [message.text for message in sample.messages if message.role == "assistant" and message.text.strip()]
        if not answers:
            raise DataError(f"Sample {sample.id} holds no answer, so its picture has no text beside it.")
        return answers[-1]

    @abstractmethod
    def encode_partners(self, names: Sequence[str]) -> dict[str, Tensor]:
        """Return the tensors of what stands beside the pictures."""

    def num_tokens(self, batch: Batch) -> int:
        """Return the tokens of the texts, padding left out."""
        mask = batch.get("text_mask")
        return int(batch["text_ids"].numel() if mask is None else mask.sum())

    def num_items(self, batch: Batch) -> float:
        """Return the number of pairs."""
        return float(len(batch["text_key"]))
