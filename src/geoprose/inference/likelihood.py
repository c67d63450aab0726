"""Score given answers: how likely each option is as the system's answer, many questions and options together.

The picture is run once, each question once, and of each option only its own tokens; the first token of every option is
read from the logits behind its question, so options of one token cost nothing more.
"""

# B rows, T tokens of a pass, O vocabulary

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from geoprose.core.errors import InputError
from geoprose.core.types import Message
from geoprose.inference.shared_prefix import Prompt, image_tokens, messages_of
from geoprose.inference.sharing import Sharing, plan
from geoprose.inference.whole_prompts import score_in_decoder, score_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from PIL.Image import Image
    from torch import Tensor

    from geoprose.inference.continuations import Continuations
    from geoprose.inference.features import FeatureCache
    from geoprose.inference.generate import Progress
    from geoprose.inference.sharing import Plan, Work
    from geoprose.systems.build import System

MAX_OPTION_TOKENS = 512
"""Option tokens run together: their logits over the whole vocabulary stay at some 100 MB."""


@dataclass(frozen=True)
class OptionRequest:
    """One question about zero or more pictures, and the answers to choose among.

    Attributes:
        images: Pictures, or paths of picture files, in the order of the ``<image>`` marks, earlier turns first.
        question: The user's text; ``<image>`` marks may be left out, the pictures then stand at the beginning.
        options: The texts whose likelihood as the assistant's answer is asked for.
        history: Earlier turns, ending with the assistant's.
    """

    images: tuple[Image | Path, ...]
    question: str
    options: tuple[str, ...]
    history: tuple[Message, ...] = ()


@dataclass(frozen=True)
class Option:
    """One option as tokens.

    Attributes:
        request: The place of its request.
        place: Its place among the options of the request.
        context_ids: The tokens before it.
        ids: Its own tokens, at least one.
    """

    request: int
    place: int
    context_ids: tuple[int, ...]
    ids: tuple[int, ...]


@torch.inference_mode()
def rank_options(  # noqa: PLR0913, PLR0917 - what all callers give, and how to compute it for proofs and benchmarks
    system: System,
    requests: Sequence[OptionRequest],
    batch_size: int = 64,
    on_progress: Progress | None = None,
    features: FeatureCache | None = None,
    is_mean: bool = False,
    sharing: Sharing = "auto",
) -> list[tuple[float, ...]]:
    """Return the log-likelihood of every option of every request, in the order given.

    It is the sum over the option's tokens of ``log p(token | pictures, question, tokens before)``, softmax in float32
    over the whole vocabulary. The token that would end the answer is not counted.

    Args:
        system: Model and processor.
        requests: Pictures, questions and options.
        batch_size: Questions run together.
        on_progress: Called with (scored, total) requests after each batch.
        features: Cache of this system's encoder outputs, shared between calls or blind; a new one by default.
        is_mean: Divide by the number of tokens, so that long options are not less likely for their length.
        sharing: How questions share the beginning of their prompts; changes time and memory, not scores.

    Raises:
        InputError: If ``batch_size`` is not positive, a request has no option, or an option is empty.
        ConfigError: If the system cannot share in the way that ``sharing`` names.
    """
    if batch_size < 1:
        raise InputError(f"batch_size ({batch_size}) must be at least 1.")
    chosen = plan(system, sharing, batch_size, features)
    was_training = system.model.training
    system.model.eval()
    options = [option for index, request in enumerate(requests) for option in _encode(system, index, request)]
    scores = [[0.0] * len(request.options) for request in requests]
    remaining = [len(request.options) for request in requests]
    parts = _shared(system, options, requests, chosen) if chosen else _whole(system, options, requests)
    for part in parts:
        for option, score in part:
            scores[option.request][option.place] = score / len(option.ids) if is_mean else score
            remaining[option.request] -= 1
        if on_progress is not None:
            on_progress(remaining.count(0), len(requests))
    system.model.train(was_training)
    return [tuple(row) for row in scores]


def _encode(system: System, index: int, request: OptionRequest) -> list[Option]:
    """Return the options of a request as tokens, each behind the tokens that it is scored after."""
    if not request.options:
        raise InputError(f"The question {request.question!r} has no options to score; give at least one.")
    messages = messages_of(system, request)
    counts = image_tokens(system, request.images)
    tokenizer = system.processor.tokenizer
    options: list[Option] = []
    context: Sequence[int]
    for place, text in enumerate(request.options):
        if system.model.config.is_encoder_decoder:
            context, ids = (), tokenizer.encode(text, add_special_tokens=False)
        else:
            encoded = system.processor.encode_conversation([*messages, Message("assistant", text)], counts)
            context, ids = _split(system, encoded.input_ids, encoded.labels)
        if not text.strip() or not ids:
            raise InputError(f"Option {place + 1} of the question {request.question!r} is empty; give it a text.")
        options.append(Option(index, place, tuple(context), tuple(ids)))
    return options


def _split(system: System, input_ids: list[int], labels: list[int]) -> tuple[list[int], list[int]]:
    """Cut a conversation before the last turn's learned tokens, and drop the tokens that end the turn."""
    end = max(place for place, label in enumerate(labels) if label >= 0) + 1
    start = end
    while start and labels[start - 1] >= 0:
        start -= 1
    ids = input_ids[start:end]
    stop = system.processor.tokenizer.encode(system.processor.prompt_format.assistant_stop, add_special_tokens=False)
    return input_ids[:start], ids[: len(ids) - len(stop)] if stop and ids[-len(stop) :] == stop else ids


Scored = list[tuple[Option, float]]


def _shared(
    system: System, options: Sequence[Option], requests: Sequence[OptionRequest], how: Plan
) -> Iterator[Scored]:
    """Score options behind shared prefixes; options of a request with the same context are one row until they part."""
    rows: dict[tuple[int, tuple[int, ...]], list[Option]] = defaultdict(list)
    for option in options:
        rows[option.request, option.context_ids].append(option)
    members = list(rows.values())
    prompts = [Prompt(index, requests[own[0].request].images, own[0].context_ids) for index, own in enumerate(members)]
    for work in how.work(system, prompts):
        yield _score(work, members)


def _score(work: Work, members: Sequence[list[Option]]) -> Scored:
    behind_context = work.begin()
    logits_BO = behind_context.feed([row.prompt_ids for row in work.rows])
    first_BO = logits_BO.float().log_softmax(-1)
    parted = [(place, option) for place, row in enumerate(work.rows) for option in members[row.index]]
    heads = torch.tensor([[place, option.ids[0]] for place, option in parted], device=first_BO.device)
    scores = first_BO[heads[:, 0], heads[:, 1]].tolist()
    longer = [number for number, (_, option) in enumerate(parted) if len(option.ids) > 1]
    for piece in _pieces(longer, [len(option.ids) - 1 for _, option in parted]):
        places = torch.tensor([parted[number][0] for number in piece])
        tails = _tails(behind_context.fork(places), [parted[number][1].ids for number in piece])
        for number, tail in zip(piece, tails, strict=True):
            scores[number] += tail
    return [(option, score) for (_, option), score in zip(parted, scores, strict=True)]


def _pieces(numbers: Sequence[int], lengths: Sequence[int]) -> Iterator[list[int]]:
    """Cut a list into pieces of at most ``MAX_OPTION_TOKENS`` tokens."""
    piece: list[int] = []
    for number in numbers:
        if piece and sum(lengths[other] for other in piece) + lengths[number] > MAX_OPTION_TOKENS:
            yield piece
            piece = []
        piece.append(number)
    if piece:
        yield piece


def _tails(continuations: Continuations, tokens: Sequence[Sequence[int]]) -> list[float]:
    """Return for each row the log-likelihood of its tokens behind the first."""
    logits_TO = continuations.feed([row[:-1] for row in tokens], keeps_all=True)
    return token_scores(logits_TO, tokens)


def token_scores(logits_TO: Tensor, tokens: Sequence[Sequence[int]]) -> list[float]:
    """Return for each row the sum of ``log p`` of its tokens behind the first; logits stand row by row."""
    targets_T = torch.tensor([token for row in tokens for token in row[1:]], device=logits_TO.device)
    # Why not log_softmax: it would hold a second copy of all logits.
    chosen_T = logits_TO.gather(-1, targets_T[:, None])[:, 0].float() - logits_TO.float().logsumexp(-1)
    return [float(part.sum()) for part in torch.split(chosen_T, [len(row) - 1 for row in tokens])]


def _whole(system: System, options: Sequence[Option], requests: Sequence[OptionRequest]) -> Iterator[Scored]:
    """Score the options of one request after the other, every prompt whole."""
    score = score_in_decoder if system.model.config.is_encoder_decoder else score_whole
    own: dict[int, list[Option]] = defaultdict(list)
    for option in options:
        own[option.request].append(option)
    for index, members in own.items():
        request = requests[index]
        scores = score(system, request, [(option.context_ids, option.ids) for option in members])
        yield list(zip(members, scores, strict=True))
