"""Rows that share a prefix."""

from __future__ import annotations

import pytest

from geoprose.core.errors import DataError
from geoprose.core.types import Message, Sample
from geoprose.training.rows.packing import drop_end_token, pack_shared_prefix, plain_row, shared_question, trim


def _sample(text: str, images: int = 1, turns: int = 1) -> Sample:
    messages = (Message("user", text), Message("assistant", "yes")) * turns
    return Sample("s", tuple(f"{i}.png" for i in range(images)), messages)


def test_question_behind_its_marks() -> None:
    assert shared_question(_sample("<image>\nAny ice?")) == "Any ice?"
    assert shared_question(_sample("<image>\n<image>\nWhich?", images=2)) == "Which?"


@pytest.mark.parametrize(
    "sample", [_sample("Any ice? <image>"), _sample("<image>\nA", turns=2), _sample("<image>\n<image>\nB", images=1)]
)
def test_what_cannot_share(sample: Sample) -> None:
    assert shared_question(sample) is None


def test_layout_of_a_packed_row() -> None:
    row = pack_shared_prefix([1, 2], [([5, 6, 7], [-100, 6, 7]), ([8, 9], [-100, 9])])
    assert row.input_ids == [1, 2, 5, 6, 8]
    assert row.next_ids == [-100, -100, 6, 7, 9]
    assert row.position_ids == [0, 1, 2, 3, 2]
    assert row.segments == [0, 0, 1, 1, 2]


def test_budget_skips_long_branches_but_keeps_one() -> None:
    long, short = ([5] * 9, [-100] * 8 + [5]), ([6, 7], [-100, 7])
    assert pack_shared_prefix([1], [short, long, short], max_tokens=4).input_ids == [1, 6, 6]
    assert len(pack_shared_prefix([1], [long], max_tokens=4).input_ids) == 9


def test_one_branch_is_a_plain_row() -> None:
    row = pack_shared_prefix([1, 2], [([5, 6, 7], [-100, 6, 7])])
    assert (row.input_ids, row.next_ids, row.position_ids) == ([1, 2, 5, 6], [-100, -100, 6, 7], [0, 1, 2, 3])
    assert not row.is_packed


def test_a_labelled_first_token_is_refused() -> None:
    with pytest.raises(DataError, match="first token"):
        pack_shared_prefix([1], [([5, 6], [5, 6])])


def test_plain_row_is_shifted() -> None:
    row = plain_row([1, 2, 3], [-100, 2, 3])
    assert (row.input_ids, row.next_ids) == ([1, 2], [2, 3])
    assert not row.is_packed


def test_end_token_is_dropped_from_one_token_answers_only() -> None:
    assert drop_end_token(([1, 2, 3, 4], [-100, 2, 3, -100])) == ([1, 2], [-100, 2])
    longer = ([1, 2, 3, 4], [-100, 2, 3, 4])
    assert drop_end_token(longer) == longer


def test_trim_drops_what_nothing_reads() -> None:
    assert trim(([1, 2, 3], [-100, 2, -100])) == ([1, 2], [-100, 2])
