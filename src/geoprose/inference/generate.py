"""Answer many questions greedily: each picture is encoded once, questions share the prefix's key-value cache.

The work is cut into batches in a fixed order that depends on the requests alone, so the same requests give the same
batches and, in float32 on one machine, the same tokens.
"""

# N tiles, P patches, E encoder width, B rows of a batch, T text length, D language-model width, K vocabulary

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from geoprose.core.errors import InputError
from geoprose.inference.features import FeatureCache, image_key, open_picture, picture_size
from geoprose.models.inputs import select_rows
from geoprose.processing.prompt import IMAGE_MARK
from geoprose.systems.batch import prepare_batch

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image
    from torch import Tensor

    from geoprose.processing.processor import ImageTokens
    from geoprose.systems.build import System

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Request:
    """One question about zero or more pictures.

    Attributes:
        images: Pictures, or paths of picture files, in the order of the ``<image>`` marks.
        question: The user's text; ``<image>`` marks may be left out, they then stand at the beginning.
    """

    images: tuple[Image | Path, ...]
    question: str


@dataclass
class _Row:
    index: int
    prompt_ids: list[int]
    answer_ids: list[int] = field(default_factory=list)


@dataclass
class _Group:
    """The questions about the same pictures: one prefix, many branches."""

    keys: tuple[str, ...]
    images: tuple[Image | Path, ...]
    prefix_ids: list[int]
    rows: list[_Row]


@torch.inference_mode()
def answer_batch(
    system: System,
    requests: Sequence[Request],
    max_new_tokens: int = 48,
    batch_size: int = 64,
    on_progress: Progress | None = None,
    features: FeatureCache | None = None,
) -> list[str]:
    """Answer ``requests`` greedily, in the order given.

    Args:
        system: Model and processor.
        requests: Pictures and questions.
        max_new_tokens: Longest answer.
        batch_size: Questions decoded together; more is faster and takes more memory.
        on_progress: Called with (answered, total) after each batch.
        features: Cache of this system's encoder outputs, shared between calls or blind; a new one by default.

    Returns:
        The generated texts without special tokens, stripped.

    Raises:
        InputError: If a limit is not positive.
    """
    if max_new_tokens < 1 or batch_size < 1:
        raise InputError(f"max_new_tokens ({max_new_tokens}) and batch_size ({batch_size}) must be at least 1.")
    was_training = system.model.training
    system.model.eval()
    answers = [""] * len(requests)
    done = 0
    for answered in _answered(system, requests, (max_new_tokens, batch_size), features):
        for index, text in answered.items():
            answers[index] = text
        done += len(answered)
        if on_progress is not None:
            on_progress(done, len(requests))
    system.model.train(was_training)
    return answers


def _answered(
    system: System, requests: Sequence[Request], limits: tuple[int, int], features: FeatureCache | None
) -> Iterator[dict[int, str]]:
    """Yield the answers of one batch after the other, by the place of the request."""
    max_new_tokens, batch_size = limits
    if not _shares_prefixes(system):
        if features is not None and features.is_blind:
            raise InputError(
                f"{system.spec.name} cannot answer blind: its pictures are read together with each question."
            )
        yield from answer_one_by_one(system, requests, max_new_tokens, batch_size)
        return
    features = features or FeatureCache(system)
    for batch in _batches(_groups(system, requests), batch_size):
        rows = _answer_groups(system, features, batch, max_new_tokens)
        yield {row.index: _decode(system, row.answer_ids) for row in rows}


def _shares_prefixes(system: System) -> bool:
    """Tell whether questions about one picture can share what was computed of it.

    Not where the question decides how the picture is read (InstructBLIP), nor where an encoder reads the whole prompt.
    """
    is_encoder_decoder = bool(system.model.config.is_encoder_decoder)
    return not is_encoder_decoder and system.processor.condition_tokenizer is None


def answer_one_by_one(
    system: System, requests: Sequence[Request], max_new_tokens: int, batch_size: int
) -> Iterator[dict[int, str]]:
    """Answer through ``generate``, every prompt whole; yields the answers of each batch by the place of the request."""
    for start in range(0, len(requests), batch_size):
        batch = requests[start : start + batch_size]
        rows = [
            ([open_picture(image) for image in r.images], r.question.replace(IMAGE_MARK, "").strip()) for r in batch
        ]
        inputs = prepare_batch(system, rows)
        ids_BT = system.model.generate(**inputs, do_sample=False, max_new_tokens=max_new_tokens)
        behind = 1 if system.model.config.is_encoder_decoder else inputs["input_ids"].shape[1]
        yield {start + place: _decode(system, ids) for place, ids in enumerate(ids_BT[:, behind:].tolist())}


def _groups(system: System, requests: Sequence[Request]) -> list[_Group]:
    """Group the requests by their pictures; the order of groups and rows is that of the first mention."""
    members: dict[tuple[str, ...], list[int]] = {}
    for index, request in enumerate(requests):
        members.setdefault(tuple(image_key(image) for image in request.images), []).append(index)
    groups = []
    for keys, indices in members.items():
        images = requests[indices[0]].images
        pairs = [(requests[index].question, None) for index in indices]
        prefix = system.processor.encode_shared_prefix(len(images), pairs, image_tokens(system, images))
        rows = [_Row(index, list(ids)) for index, (ids, _) in zip(indices, prefix.branches, strict=True)]
        groups.append(_Group(keys, images, list(prefix.prefix_ids), rows))
    return groups


def image_tokens(system: System, images: Sequence[Image | Path]) -> list[ImageTokens]:
    """Return the image tokens that each picture of one sample takes in the text, row by row."""
    processor = system.processor
    plans = processor.image_processor.plan_sample([picture_size(image) for image in images])
    return [processor.image_segments(plan.layout) for plan in plans]


def _batches(groups: Sequence[_Group], batch_size: int) -> list[list[_Group]]:
    """Cut the groups into batches of equal prefix length and at most ``batch_size`` questions."""
    pieces = [
        _Group(group.keys, group.images, group.prefix_ids, group.rows[start : start + batch_size])
        for group in groups
        for start in range(0, len(group.rows), batch_size)
    ]
    batches: list[list[_Group]] = []
    for piece in sorted(pieces, key=lambda g: len(g.prefix_ids)):
        last = batches[-1] if batches else []
        has_room = sum(len(group.rows) for group in last) + len(piece.rows) <= batch_size
        if last and has_room and len(last[0].prefix_ids) == len(piece.prefix_ids):
            last.append(piece)
        else:
            batches.append([piece])
    return batches


def _answer_groups(system: System, features: FeatureCache, groups: list[_Group], limit: int) -> list[_Row]:
    """Run the prefixes once, copy each one's cache to its questions, and decode all questions together."""
    rows = [row for group in groups for row in group.rows]
    device = system.model.device
    cache = _prefix_cache(system, features, groups)
    if cache is not None:
        owner = [place for place, group in enumerate(groups) for _ in group.rows]
        select_rows(cache, torch.tensor(owner, device=device))
    prefix_length = len(groups[0].prefix_ids)
    longest = max(len(row.prompt_ids) for row in rows)
    pad = system.processor.tokenizer.pad_token_id or 0
    ids_BT = torch.full((len(rows), longest), pad, dtype=torch.long)
    mask_BT = torch.ones(len(rows), prefix_length + longest, dtype=torch.long)
    for place, row in enumerate(rows):
        gap = longest - len(row.prompt_ids)
        ids_BT[place, gap:] = torch.tensor(row.prompt_ids)
        mask_BT[place, prefix_length : prefix_length + gap] = 0
    _decode_rows(system, rows, cache, ids_BT.to(device), mask_BT.to(device), limit)
    return rows


def _prefix_cache(system: System, features: FeatureCache, groups: list[_Group]) -> Any:
    """Run the prefixes; None when they are empty, that is without pictures."""
    if not groups[0].prefix_ids:
        return None
    device = system.model.device
    prefix_BT = torch.tensor([group.prefix_ids for group in groups], device=device)
    inputs: dict[str, Any] = {}
    if any(group.keys for group in groups):
        inputs = dict(features.get([group.images for group in groups]))
    return system.model(
        input_ids=prefix_BT, attention_mask=torch.ones_like(prefix_BT), use_cache=True, logits_to_keep=1, **inputs
    ).past_key_values


def _decode_rows(system: System, rows: list[_Row], cache: Any, ids_BT: Tensor, mask_BT: Tensor, limit: int) -> None:
    """Extend every row greedily until its end token; finished rows leave the batch."""
    stop_ids = _stop_ids(system)
    active = list(rows)
    positions_BT = (mask_BT.cumsum(-1) - 1).clamp_min(0)[:, -ids_BT.shape[1] :]
    for _ in range(limit):
        output = system.model(
            input_ids=ids_BT,
            attention_mask=mask_BT,
            position_ids=None if system.model.model.positions.is_owner else positions_BT,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        cache = output.past_key_values
        chosen_B = _greedy(system, output.logits[:, -1])
        keep = []
        for place, (row, token) in enumerate(zip(active, chosen_B.tolist(), strict=True)):
            if token not in stop_ids:
                row.answer_ids.append(token)
                keep.append(place)
        if not keep:
            return
        if len(keep) < len(active):
            kept = torch.tensor(keep, device=mask_BT.device)
            select_rows(cache, kept)
            chosen_B, mask_BT, positions_BT = chosen_B[kept], mask_BT[kept], positions_BT[kept]
            active = [active[place] for place in keep]
        ids_BT = chosen_B.unsqueeze(-1)
        mask_BT = torch.cat([mask_BT, mask_BT.new_ones(len(active), 1)], dim=-1)
        positions_BT = positions_BT[:, -1:] + 1


def _greedy(system: System, logits_BK: Tensor) -> Tensor:
    """Return the most likely token of each row; image tokens, and rows without a token, are never an answer."""
    banned = [system.model.config.image_token_id, *(system.model.generation_config.suppress_tokens or ())]
    logits_BK = logits_BK.clone()
    logits_BK[:, banned] = float("-inf")
    return logits_BK.argmax(-1)


def _stop_ids(system: System) -> set[int]:
    """Collect the end tokens of the generation config and of the tokenizer."""
    stop = {system.processor.tokenizer.eos_token_id}
    configured = system.model.generation_config.eos_token_id
    stop.update(configured if isinstance(configured, (list, tuple)) else [configured])
    return {token for token in stop if token is not None}


def _decode(system: System, token_ids: list[int]) -> str:
    return str(system.processor.tokenizer.decode(token_ids, skip_special_tokens=True)).strip()
