"""Answer what another kit asks: in pieces, questions about one picture together, each picture encoded once."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import InputError
from geoprose.evaluation.interop.turns import to_request
from geoprose.inference.features import FeatureCache
from geoprose.inference.generate import Request, answer_batch
from geoprose.inference.likelihood import OptionRequest, rank_options
from geoprose.systems.load import load_answering_system

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from geoprose.evaluation.interop.turns import Turn
    from geoprose.systems.build import System

PIECE = 128
"""Questions whose pictures are held at once: 128 pictures of 1000 x 1000 px are 0.4 GB."""

DEFAULT_NEW_TOKENS = 1024
"""Longest answer where a benchmark states none; what the kits' own adapters take."""


@dataclass(frozen=True)
class Decoding:
    """How far an answer may go.

    Attributes:
        max_new_tokens: Longest answer.
        stop: Texts at whose first place the answer is cut; the text itself is left out.
    """

    max_new_tokens: int = DEFAULT_NEW_TOKENS
    stop: tuple[str, ...] = ()

    def cut(self, answer: str) -> str:
        """Return the answer up to the first text of ``stop``."""
        ends = [place for text in self.stop if text and (place := answer.find(text)) >= 0]
        return answer[: min(ends)].rstrip() if ends else answer


def read_decoding(options: Mapping[str, Any], max_new_tokens: int = 0) -> Decoding:
    """Read generation options as lmms-eval and transformers name them.

    Args:
        options: ``max_new_tokens``, ``until``, ``do_sample``, ``temperature``, ``num_beams``; others change nothing of
            greedy decoding.
        max_new_tokens: Longest answer whatever the options say; theirs when 0.

    Raises:
        InputError: If they ask for sampling or beams: the answers would not be those that the benchmark describes.
    """
    temperature = options.get("temperature")
    is_warm = temperature is None or float(temperature) > 0
    asks_for_sampling = is_warm if options.get("do_sample") else bool(temperature) and options.get("do_sample") is None
    if asks_for_sampling or int(options.get("num_beams") or 1) > 1:
        raise InputError(
            "The benchmark asks for sampling or beams, and this system decodes greedily. Ask for greedy answers, e.g. "
            "with `--gen_kwargs do_sample=False,temperature=0,num_beams=1`, and say so beside the score."
        )
    until = options.get("until") or ()
    stop = (until,) if isinstance(until, str) else tuple(str(text) for text in until if text is not None)
    return Decoding(max_new_tokens or int(options.get("max_new_tokens") or DEFAULT_NEW_TOKENS), stop)


@dataclass(frozen=True)
class Question:
    """One question of a benchmark.

    Attributes:
        turns: Makes the conversation; called when its turn comes, so that pictures are not all open at once.
        decoding: How far the answer may go.
        options: The answers whose likelihood is asked for, where they are scored and not written.
    """

    turns: Callable[[], Sequence[Turn]]
    decoding: Decoding = field(default_factory=Decoding)
    options: tuple[str, ...] = ()


class Answerer:
    """A loaded system and how it is asked.

    Args:
        system: The system, or the folder or preset to load it from.
        device: Device that it is moved to; where it was loaded when empty.
        batch_size: Questions decoded together.
        num_frames: Pictures that stand for a video.

    Raises:
        PresetError: If the name is unknown.
        ResourceError: If the folder lacks a file.
        InputError: If the system does not answer in words, or ``batch_size`` is not positive.
    """

    def __init__(
        self, system: System | str | Path, device: str = "", batch_size: int = 64, num_frames: int = 8
    ) -> None:
        if batch_size < 1:
            raise InputError(f"batch_size ({batch_size}) must be at least 1.")
        self.system: System = load_answering_system(system) if isinstance(system, str | os.PathLike) else system
        if device:
            self.system.model.to(device)
        self._batch_size, self._num_frames = batch_size, num_frames
        self._features = FeatureCache(self.system)

    def answer(self, questions: Sequence[Question]) -> list[str]:
        """Write an answer to every question, greedily, in the order given.

        Raises:
            InputError: If a conversation does not end with the user's question.
            DataError: If a picture cannot be read.
        """
        answers = [""] * len(questions)
        for start, requests in self._pieces(questions):
            by_length: dict[int, list[int]] = defaultdict(list)
            for place in range(len(requests)):
                by_length[questions[start + place].decoding.max_new_tokens].append(place)
            for limit, places in by_length.items():
                texts = self._write([requests[place] for place in places], limit)
                for place, text in zip(places, texts, strict=True):
                    answers[start + place] = questions[start + place].decoding.cut(text)
        return answers

    def score(self, questions: Sequence[Question]) -> list[list[tuple[float, bool]]]:
        """Return for every option of every question its log-likelihood, and whether it is what greedy decoding writes.

        The log-likelihood is the sum over the option's tokens; the token that ends the turn does not count. Spaces
        around an option are dropped: where an answer begins is the prompt format's affair.

        Raises:
            InputError: If a question has no option or an empty one.
            DataError: If a picture cannot be read.
        """
        scored: list[list[tuple[float, bool]]] = []
        for start, requests in self._pieces(questions):
            options = [
                tuple(text.strip() for text in questions[start + place].options) for place in range(len(requests))
            ]
            asked = [
                OptionRequest(request.images, request.question, own, request.history)
                for request, own in zip(requests, options, strict=True)
            ]
            scores = rank_options(self.system, asked, self._batch_size, features=self._features)
            greedy = self._greedy(requests, options)
            scored.extend(
                [(score, text == written) for score, text, written in zip(row, own, said, strict=True)]
                for row, own, said in zip(scores, options, greedy, strict=True)
            )
        return scored

    def _pieces(self, questions: Sequence[Question]) -> Iterator[tuple[int, list[Request]]]:
        suffix = self.system.processor.prompt_format.image_suffix
        for start in range(0, len(questions), PIECE):
            asked = questions[start : start + PIECE]
            yield start, [to_request(question.turns(), suffix, self._num_frames) for question in asked]

    def _write(self, requests: Sequence[Request], limit: int) -> list[str]:
        return answer_batch(self.system, requests, limit, self._batch_size, features=self._features)

    def _greedy(self, requests: Sequence[Request], options: Sequence[tuple[str, ...]]) -> list[list[str]]:
        """Return what greedy decoding writes in as many tokens as each option has."""
        encode = self.system.processor.tokenizer.encode
        lengths = [[len(encode(text, add_special_tokens=False)) for text in own] for own in options]
        written: dict[tuple[int, int], str] = {}
        for limit in sorted({length for row in lengths for length in row}):
            places = [place for place, row in enumerate(lengths) if limit in row]
            texts = self._write([requests[place] for place in places], limit)
            written.update({(place, limit): text for place, text in zip(places, texts, strict=True)})
        return [[written[place, length] for length in row] for place, row in enumerate(lengths)]
