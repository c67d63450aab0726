"""Samples that are longer than a row may be: refused, left out or cut, and always counted."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import DataError
from geoprose.data.collator import IGNORED_LABEL, Row
from geoprose.data.mixture import Unit
from geoprose.data.preferences import REJECTED_KEY
from geoprose.processing.prompt import render

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from geoprose.core.types import Sample
    from geoprose.training.rows.batches import LoadedSource
    from geoprose.training.rows.rows import RowEncoder
    from geoprose.training.specs.stage import StageSpec

    Texts = Callable[[RowEncoder, Unit], list[Row]]

logger = logging.getLogger(__name__)

NO_LIMIT = 10**9
"""More tokens than any language model reads; tokenizers without a limit say 1e30."""
_SPARE_TOKENS = 16
_NAMED = 3


@dataclass
class TooLong:
    """What happened to samples that did not fit.

    Attributes:
        limit: Tokens that a row may have.
        skipped: Samples that were left out, and their tokens.
        truncated: Samples whose end is cut off, and their tokens.
    """

    limit: int
    skipped: dict[str, int] = field(default_factory=dict)
    truncated: dict[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, int]:
        """Return the counts, for the run's record."""
        return {"limit": self.limit, "skipped": len(self.skipped), "truncated": len(self.truncated)}


@contextmanager
def unlimited(tokenizer: Any) -> Iterator[None]:
    """Let the processor tokenise what is longer than the language model reads: the stage's policy decides about it."""
    limit = tokenizer.model_max_length
    tokenizer.model_max_length = NO_LIMIT
    try:
        yield
    finally:
        tokenizer.model_max_length = limit


def row_limit(system: Any, stage: StageSpec) -> int:
    """Return the tokens that a row may have: the language model's context, or less where the stage packs rows."""
    config = system.model.config.get_text_config()
    context = getattr(config, "max_position_embeddings", None) or NO_LIMIT
    packed = stage.max_row_tokens if stage.packing == "packed" and stage.max_row_tokens else NO_LIMIT
    return int(min(context, system.processor.tokenizer.model_max_length, packed))


def fit_sources(
    stage: StageSpec, encoder: RowEncoder, sources: Sequence[LoadedSource], texts: Texts
) -> tuple[list[LoadedSource], TooLong]:
    """Apply the stage's ``too_long`` to every sample; most need not be tokenised for it.

    Args:
        stage: The policy.
        encoder: Makes rows and counts the tokens of pictures.
        sources: What is read.
        texts: The rows of a sample, each of which must fit.

    Raises:
        DataError: With ``too_long: error``, naming the longest samples; or when a source has no sample left.
    """
    found = TooLong(row_limit(encoder.system, stage))
    kept = []
    for source in sources:
        units = ((sample, Unit(sample.images, (sample,), str(source.root))) for sample in source.samples)
        samples = tuple(sample for sample, unit in units if _fits(unit, stage, encoder, texts, found))
        if not samples:
            raise DataError(
                f"Every sample of {source.spec.path} is longer than {found.limit} tokens, so nothing is left to train "
                "on. Show fewer or smaller pictures, or use a system with a longer context."
            )
        kept.append(replace(source, samples=samples))
    if found.skipped and stage.too_long == "error":
        raise DataError(_message(found))
    if found.skipped or found.truncated:
        counts = (len(found.skipped), len(found.truncated), found.limit)
        logger.warning("%d samples left out and %d cut: longer than %d tokens", *counts)
    return kept, found


def _fits(unit: Unit, stage: StageSpec, encoder: RowEncoder, texts: Texts, found: TooLong) -> bool:
    (sample,) = unit.samples
    bound = sum(sum(counts) for counts in encoder.image_tokens(unit)) + _text_bound(sample, encoder.processor)
    if bound <= found.limit:
        return True
    rows = texts(encoder, unit)
    num_tokens = max(max(len(row.input_ids), len(row.decoder_ids)) for row in rows)
    if num_tokens <= found.limit:
        return True
    ids = encoder.placeholder_ids
    if stage.too_long == "truncate" and all(truncated(row, found.limit, ids) is not None for row in rows):
        found.truncated[sample.id] = num_tokens
        return True
    found.skipped[sample.id] = num_tokens
    return False


def _text_bound(sample: Sample, processor: Any) -> int:
    """Return more tokens than the text of either answer can have: no tokenizer makes more than one of a byte."""
    text = render(sample.messages, processor.prompt_format).text + str(sample.meta.get(REJECTED_KEY, ""))
    controls = sum(len(getattr(processor.prompt_format, name)) for name in ("image_start", "image_end", "image_row"))
    extra = sum(int(branch["num_tokens"]) for branch in processor.branches.values()) * len(sample.messages)
    return len(text.encode()) + _SPARE_TOKENS + controls * max(1, len(sample.images)) + extra


def truncated(row: Row, limit: int, placeholder_ids: frozenset[int]) -> Row | None:
    """Return a row without what stands behind its first ``limit`` tokens.

    None where that would cut a picture, or leave nothing to learn.
    """
    if len(row.input_ids) <= limit and len(row.decoder_ids) <= limit:
        return row
    is_two = bool(row.decoder_ids)
    lost = row.input_ids[limit:]
    learned = [label for label in row.next_ids[:limit] if label != IGNORED_LABEL]
    # Why not the encoder's text: its end is the question.
    if not learned or placeholder_ids.intersection(lost) or (is_two and lost):
        return None
    return replace(
        row,
        input_ids=row.input_ids[:limit],
        next_ids=row.next_ids[:limit],
        position_ids=row.position_ids[:limit],
        segments=row.segments[:limit],
        decoder_ids=row.decoder_ids[:limit],
        placed=row.placed[:limit],
    )


def _message(found: TooLong) -> str:
    longest = sorted(found.skipped.items(), key=lambda item: -item[1])[:_NAMED]
    named = ", ".join(f"{name} ({tokens} tokens)" for name, tokens in longest)
    return (
        f"{len(found.skipped)} samples are longer than the {found.limit} tokens of a row with their pictures: {named}. "
        "Set too_long: skip in the stage (or truncate, where no answers are compared), raise max_row_tokens if it is "
        "the limit, or show fewer pictures."
    )
