"""Rows to tensors."""

from __future__ import annotations

import numpy as np
import torch

from geoprose.data.collator import Collator, Row, block_mask


def _row(size: int, segments: list[int] | None = None) -> Row:
    return Row(list(range(1, size + 1)), [-100] * size, list(range(size)), segments or [0] * size)


def test_mask_of_prefix_branches_and_padding() -> None:
    mask = block_mask(torch.tensor([[0, 1, 2, -1]]))[0, 0]
    assert mask.int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]]


def test_plain_rows_get_a_padding_mask() -> None:
    batch = Collator(9)([_row(2), _row(3)])
    assert batch["input_ids"].tolist() == [[1, 2, 9], [1, 2, 3]]
    assert batch["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]
    assert batch["next_ids"][0, 2] == -100
    assert int(batch["num_tokens"]) == 5, "padding is not counted"


def test_rows_of_a_causal_decoder_say_that_padding_is_behind() -> None:
    """Losses still see what is padding; rows with branches and joined rows need their mask."""
    plain = Collator(9, is_causal=True)([_row(2), _row(3)])
    assert plain["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]
    assert bool(plain["padding_is_behind"])
    assert "padding_is_behind" not in Collator(9, is_causal=True)([_row(2), _row(3, [0, 1, 2])])
    assert "padding_is_behind" not in Collator(9, is_causal=True, join_rows=True)([_row(2), _row(3)])
    assert "padding_is_behind" not in Collator(9)([_row(2)])


def test_one_packed_row_makes_the_mask_four_dimensional() -> None:
    batch = Collator(9)([_row(2), _row(3, [0, 1, 2])])
    assert batch["attention_mask"].shape == (2, 1, 3, 3)


def test_joined_rows_do_not_see_each_other() -> None:
    batch = Collator(9, join_rows=True)([_row(2), _row(3, [0, 1, 2])])
    assert batch["input_ids"].tolist() == [[1, 2, 1, 2, 3]]
    assert batch["position_ids"].tolist() == [[0, 1, 0, 1, 2]]
    assert batch["attention_mask"][0, 0].int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 1, 1, 0],
        [0, 0, 1, 0, 1],
    ]


def test_samples_are_numbered_over_rows_and_branches() -> None:
    rows = [_row(2), _row(3, [0, 1, 2])]
    assert Collator(9)(rows)["sample_of"].tolist() == [[0, 0, -1], [1, 2, 3]]
    assert Collator(9, join_rows=True)(rows)["sample_of"].tolist() == [[0, 0, 1, 2, 3]]


def test_pictures_and_targets_are_joined_in_order() -> None:
    rows = [_row(1), _row(1)]
    for number, row in enumerate(rows):
        row.visual["vision_features"] = torch.full((number + 1, 2), float(number))
        row.targets["lexical"] = np.full((number + 1, 3), number, dtype=np.float32)
    batch = Collator(0)(rows)
    assert batch["vision_features"].tolist() == [[0, 0], [1, 1], [1, 1]]
    assert batch["lexical"].shape == (3, 3)


def test_rows_without_text_hold_pictures_only() -> None:
    row = Row([], [], [], [], {"pixel_values": torch.zeros(1, 2)})
    assert set(Collator(0)([row])) == {"pixel_values"}
