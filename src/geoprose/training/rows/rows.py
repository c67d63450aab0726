"""Units of samples to rows of tokens and pictures, for every kind of language model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from geoprose.core.errors import ConfigError, DataError
from geoprose.data.collator import IGNORED_LABEL, PREFIX_SEGMENT, Row
from geoprose.training.pictures.vision import files_of
from geoprose.training.pictures.visuals import media_files, read_media
from geoprose.training.processes.placing import place
from geoprose.training.rows.limits import unlimited
from geoprose.training.rows.packing import RowOptions, encode_unit, prompted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.core.types import Message, Sample
    from geoprose.data.mixture import Unit
    from geoprose.training.pictures.vision import Vision

ImageTokens = tuple[int, ...]


class RowEncoder:
    """Makes the rows of a unit.

    Args:
        system: Model and processor.
        vision: Source of pictures.
        options: How several samples share a row.

    Raises:
        ConfigError: If questions should share pictures whose tokens depend on the question.
    """

    def __init__(self, system: Any, vision: Vision, options: RowOptions) -> None:
        self.system = system
        self.vision = vision
        self.options = options
        self.processor = system.processor
        self.reads_questions = self.processor.condition_tokenizer is not None
        self.is_encoder_decoder = bool(system.model.config.is_encoder_decoder)
        if options.share_prefix and (self.reads_questions or self.is_encoder_decoder):
            why = "its connector reads the question" if self.reads_questions else "its answers belong to a decoder"
            raise ConfigError(
                f"packing: shared_prefix cannot train {system.spec.name}: {why}, so questions do not share what stands "
                "before them. Use packing: none or length_grouped."
            )

    @property
    def placeholder_ids(self) -> frozenset[int]:
        """The tokens that stand for pictures and further inputs."""
        return frozenset({self.processor.image_token_id, *self.processor.tokens_per_mark()})

    def rows(self, unit: Unit, with_text: bool = True) -> list[Row]:
        """Return the rows of a unit with their pictures: one, or one for each answer of an encoder-decoder.

        Args:
            unit: The samples.
            with_text: False leaves the tokens out, for losses that read pictures only.

        Raises:
            DataError: If a file is missing or damaged.
        """
        if not with_text:
            files = files_of(self.system, unit.samples[0], Path(unit.root))
            return [Row([], [], [], [], self.vision.inputs(self.system, files))]
        rows = self.texts(unit)
        sample, root = unit.samples[0], Path(unit.root)
        files = files_of(self.system, sample, root)
        visual = self.vision.inputs(self.system, files)
        media = read_media(media_files(sample, root))
        for row, question in zip(rows, self._questions(sample), strict=True):
            row.visual = {**visual, **media}
            if self.reads_questions and visual:
                tiles = sum(plan.layout.num_tiles for plan in self.vision.plans(self.system, files))
                row.visual.update(self.processor.encode_conditions([question], [tiles]))
        return rows

    def texts(self, unit: Unit) -> list[Row]:
        """Return the rows of a unit without pictures; their files need not be there where sizes do not matter."""
        plans = self.vision.plans(self.system, files_of(self.system, unit.samples[0], Path(unit.root)))
        counts = [self.processor.image_segments(plan.layout) for plan in plans]
        items = {name: len(paths) for name, paths in media_files(unit.samples[0], Path(unit.root)).items()}
        with unlimited(self.processor.tokenizer):
            if self.is_encoder_decoder:
                return self._turns(unit.samples[0], counts, items)
            row = encode_unit(self.processor, unit, counts, self.options, items)
        place(row, self.system, [plan.layout for plan in plans])
        return [row]

    def image_tokens(self, unit: Unit) -> list[ImageTokens]:
        """Return the image tokens of each visual of a unit, row by row; no picture is decoded."""
        plans = self.vision.plans(self.system, files_of(self.system, unit.samples[0], Path(unit.root)))
        return [self.processor.image_segments(plan.layout) for plan in plans]

    def _questions(self, sample: Sample) -> list[str]:
        """Return the question of each row, for connectors that read it."""
        if self.is_encoder_decoder:
            return [sample.messages[place - 1].text for place in _answers(sample.messages)]
        return [next((m.text for m in reversed(sample.messages) if m.role == "user"), "")]

    def _turns(self, sample: Sample, counts: Sequence[ImageTokens], items: dict[str, int]) -> list[Row]:
        """Return a row for each answer: the encoder reads what stands before it, the decoder writes it."""
        rows = []
        messages = prompted(sample, self.processor)
        for number in _answers(messages):
            ids = self.processor.encode_prompt(messages[:number], counts, items)
            labels = self.processor.encode_conversation(messages[: number + 1], counts, items).labels
            answer = _last_run(labels)
            read = self.system.model.prepare_decoder_input_ids_from_labels(torch.tensor([answer]))[0].tolist()
            rows.append(Row(ids, answer, [], [PREFIX_SEGMENT] * len(ids), decoder_ids=read))
        if not rows:
            raise DataError(f"Sample {sample.id} holds no answer, so an encoder-decoder has nothing to learn from it.")
        return rows


def _answers(messages: Sequence[Message]) -> list[int]:
    """Return the places of the assistant's messages."""
    return [place for place, message in enumerate(messages) if message.role == "assistant"]


def _last_run(labels: Sequence[int]) -> list[int]:
    """Return the labels of the last answer."""
    stop = len(labels)
    while stop and labels[stop - 1] == IGNORED_LABEL:
        stop -= 1
    start = stop
    while start and labels[start - 1] != IGNORED_LABEL:
        start -= 1
    return list(labels[start:stop])
