"""Answer many questions greedily: each picture is encoded once, questions share what was computed of their beginning.

The work is cut into batches in a fixed order that depends on the requests alone, so the same requests give the same
batches and, in float32 on one machine, the same tokens.
"""

# B rows of a batch, T text length, K vocabulary

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from geoprose.core.errors import InputError
from geoprose.inference.beams import BeamOptions, beam_search
from geoprose.inference.features import open_picture
from geoprose.inference.shared_prefix import Prompt, image_tokens, messages_of
from geoprose.inference.sharing import Sharing, Work, plan
from geoprose.systems.batch import prepare_batch

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image
    from torch import Tensor

    from geoprose.core.types import Message
    from geoprose.inference.continuations import Continuations
    from geoprose.inference.features import FeatureCache
    from geoprose.systems.build import System

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Request:
    """One question about zero or more pictures.

    Attributes:
        images: Pictures, or paths of picture files, in the order of the ``<image>`` marks, earlier turns first.
        question: The user's text; ``<image>`` marks may be left out, the pictures then stand at the beginning.
        history: Earlier turns, ending with the assistant's: a conversation, or examples with their pictures.
    """

    images: tuple[Image | Path, ...]
    question: str
    history: tuple[Message, ...] = ()


@torch.inference_mode()
def answer_batch(  # noqa: PLR0913, PLR0917 - what all callers give, and how to compute it for proofs and benchmarks
    system: System,
    requests: Sequence[Request],
    max_new_tokens: int = 48,
    batch_size: int = 64,
    on_progress: Progress | None = None,
    features: FeatureCache | None = None,
    sharing: Sharing = "auto",
    num_beams: int = 1,
    length_penalty: float = 1.0,
) -> list[str]:
    """Answer ``requests`` greedily, or by beam search, in the order given.

    Args:
        system: Model and processor.
        requests: Pictures and questions.
        max_new_tokens: Longest answer.
        batch_size: Questions decoded together; more is faster and takes more memory.
        on_progress: Called with (answered, total) after each batch.
        features: Cache of this system's encoder outputs, shared between calls or blind; a new one by default.
        sharing: How questions share the beginning of their prompts; changes time and memory, not answers.
        num_beams: Unfinished answers of a question that go on side by side; 1 is greedy.
        length_penalty: Beams are ranked by ``log p / length ** length_penalty``; above 1 favours longer answers than
            the mean over tokens does.

    Returns:
        The generated texts without special tokens, stripped.

    Raises:
        InputError: If a limit is not positive, or a request marks more pictures than it has.
        ConfigError: If the system cannot share in the way that ``sharing`` names.
    """
    if min(max_new_tokens, batch_size, num_beams) < 1:
        limits = f"max_new_tokens ({max_new_tokens}), batch_size ({batch_size}) and num_beams ({num_beams})"
        raise InputError(f"{limits} must be at least 1.")
    beams = BeamOptions(num_beams, max_new_tokens, length_penalty)
    chosen = plan(system, sharing, batch_size, features)
    was_training = system.model.training
    system.model.eval()
    answers = [""] * len(requests)
    done = 0
    if chosen is None:
        answered_parts = answer_one_by_one(system, requests, beams, batch_size)
    else:
        work = chosen.work(system, encode_prompts(system, requests))
        answered_parts = (_decoded(system, piece, beams) for piece in work)
    for answered in answered_parts:
        for index, text in answered.items():
            answers[index] = text
        done += len(answered)
        if on_progress is not None:
            on_progress(done, len(requests))
    system.model.train(was_training)
    return answers


def encode_prompts(system: System, requests: Sequence[Request]) -> list[Prompt]:
    """Return the tokens of each request, up to where the answer begins."""
    return [
        Prompt(
            index,
            request.images,
            system.processor.encode_prompt(messages_of(system, request), image_tokens(system, request.images)),
        )
        for index, request in enumerate(requests)
    ]


def answer_one_by_one(
    system: System, requests: Sequence[Request], beams: BeamOptions, batch_size: int
) -> Iterator[dict[int, str]]:
    """Answer through ``generate``, every prompt whole; yields the answers of each batch by the place of the request."""
    for start in range(0, len(requests), batch_size):
        batch = requests[start : start + batch_size]
        rows = [([open_picture(image) for image in request.images], messages_of(system, request)) for request in batch]
        inputs = prepare_batch(system, rows)
        ids_BT = system.model.generate(**inputs, **_search_settings(beams))
        behind = 1 if system.model.config.is_encoder_decoder else inputs["input_ids"].shape[1]
        yield {start + place: _decode(system, ids) for place, ids in enumerate(ids_BT[:, behind:].tolist())}


def _search_settings(beams: BeamOptions) -> dict[str, Any]:
    """Return the arguments of ``generate``; it warns about a penalty beside greedy decoding."""
    settings = {"do_sample": False, "num_beams": beams.num_beams, "max_new_tokens": beams.limit}
    return settings if beams.num_beams == 1 else {**settings, "length_penalty": beams.length_penalty}


def _decoded(system: System, work: Work, beams: BeamOptions) -> dict[int, str]:
    """Return the answers of a piece of work."""
    stop_ids, banned = _stop_ids(system), _banned_ids(system)
    continuations = work.begin()
    logits_BK = continuations.feed([row.prompt_ids for row in work.rows])
    if beams.num_beams == 1:
        _extend_greedily(work, continuations, logits_BK, (stop_ids, banned, beams.limit))
    else:
        for row, ids in zip(work.rows, beam_search(continuations, logits_BK, stop_ids, banned, beams), strict=True):
            row.answer_ids.extend(ids)
    return {row.index: _decode(system, row.answer_ids) for row in work.rows}


def _extend_greedily(
    work: Work, continuations: Continuations, logits_BK: Tensor, ends: tuple[set[int], Tensor, int]
) -> None:
    """Extend every row by its likeliest token until its end token; finished rows leave the batch."""
    stop_ids, banned, limit = ends
    active = list(work.rows)
    for step in range(1, limit + 1):
        keep = []
        for place, (row, token) in enumerate(zip(active, _greedy(logits_BK, banned).tolist(), strict=True)):
            if token not in stop_ids:
                row.answer_ids.append(token)
                keep.append(place)
        if not keep or step == limit:
            break
        if len(keep) < len(active):
            continuations.keep(torch.tensor(keep))
            active = [active[place] for place in keep]
        logits_BK = continuations.feed([row.answer_ids[-1:] for row in active])


def _banned_ids(system: System) -> Tensor:
    """Collect what is never an answer: image tokens, and rows of the vocabulary without a token."""
    banned = [system.model.config.image_token_id, *(system.model.generation_config.suppress_tokens or ())]
    return torch.tensor(banned, device=system.model.device)


def _greedy(logits_BK: Tensor, banned: Tensor) -> Tensor:
    """Return the most likely token of each row that may be an answer."""
    return logits_BK.index_fill(-1, banned.to(logits_BK.device), float("-inf")).argmax(-1)


def _stop_ids(system: System) -> set[int]:
    """Collect the end tokens of the generation config and of the tokenizer."""
    stop = {system.processor.tokenizer.eos_token_id}
    configured = system.model.generation_config.eos_token_id
    stop.update(configured if isinstance(configured, (list, tuple)) else [configured])
    return {token for token in stop if token is not None}


def _decode(system: System, token_ids: list[int]) -> str:
    return str(system.processor.tokenizer.decode(token_ids, skip_special_tokens=True)).strip()
