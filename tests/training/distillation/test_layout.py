"""Sequences cut and stretched by a table of places."""

from __future__ import annotations

import torch

from geoprose.data.collator import Collator, Row, block_mask
from geoprose.training.distillation.layout import layout_of, pad_places, resize_pictures, take_labels
from geoprose.training.rows.packing import pack_shared_prefix

IMAGE = 9


def _row(prefix: list[int], branches: list[list[int]]) -> Row:
    return pack_shared_prefix(prefix, [(ids, [-100, *ids[1:]]) for ids in branches])


def test_the_layout_of_padded_and_packed_rows_is_the_collators() -> None:
    rows = [Row([1, 2, 3], [-100] * 3, [0, 1, 2], [0, 0, 0]), Row([4, 5], [-100] * 2, [0, 1], [0, 0])]
    plain = layout_of(Collator(0)(rows))
    assert torch.equal(plain.sees_BTT, block_mask(torch.tensor([[0, 0, 0], [0, 0, -1]]))[:, 0])
    assert plain.is_real.tolist() == [[True, True, True], [True, True, False]]
    batch = Collator(0)([_row([1, 2], [[3, 4, 5], [6, 7]]), _row([1], [[2, 3]])])
    packed = layout_of(batch)
    assert packed.is_real.tolist() == [[True] * 5, [True, True, False, False, False]]
    assert torch.equal(packed.inputs()["position_ids"], batch["position_ids"])


def test_stretching_pictures_gives_what_packing_would_have_given() -> None:
    def rows(visual: int) -> list[Row]:
        picture = [IMAGE] * visual
        first = _row([1, *picture, 2, *picture], [[3, 4, 5], [6, 7]])
        return [first, _row([1, *picture], [[8, 3]])]

    for join in (False, True):
        for before, after in ((2, 3), (3, 1), (2, 2)):
            batch, wanted = (Collator(0, join_rows=join)(rows(size)) for size in (before, after))
            layout = layout_of(batch)
            places = resize_pictures(batch["input_ids"] == IMAGE, layout.is_real, before, after)
            inputs = layout.take(places).inputs()
            real = layout_of(wanted).is_real
            assert torch.equal(inputs["position_ids"][real], wanted["position_ids"][real])
            assert torch.equal(inputs["input_ids"][real], wanted["input_ids"][real])
            assert torch.equal(inputs["attention_mask"], wanted["attention_mask"])
            labels = take_labels(batch["next_ids"], places, -100)
            assert torch.equal(labels, wanted["next_ids"])


def test_columns_can_be_left_out() -> None:
    batch = Collator(0)([_row([1, 2], [[3, 4, 5], [6, 7]])])
    kept = layout_of(batch).take(pad_places([[0, 1, 4], [0]], torch.device("cpu"))[:1])
    assert kept.ids_BT.tolist() == [[1, 2, 6]]
    assert kept.inputs()["position_ids"].tolist() == [[0, 1, 2]]


def test_rows_told_apart_by_positions() -> None:
    rows = [Row([1, 2, 3], [-100] * 3, [0, 1, 2], [0, 0, 0]), Row([4, 5], [-100] * 2, [0, 1], [0, 0])]
    by_mask = layout_of(Collator(0, join_rows=True)(rows))
    by_positions = layout_of(Collator(0, join_rows=True, by_positions=True)(rows))
    assert torch.equal(by_mask.sees_BTT, by_positions.sees_BTT)


def test_padding_of_a_table_sees_itself_only() -> None:
    batch = Collator(0)([_row([1, 2], [[3, 4]]), _row([1], [[3, 4]])])
    layout = layout_of(batch).take(pad_places([[0, 1, 2], [0]], torch.device("cpu")))
    assert layout.sees_BTT[1].tolist() == torch.eye(3, dtype=torch.bool).tolist()
