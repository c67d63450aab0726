"""Masks by hand and against pycocotools and shapely; segmentation figures; nothing outside the data folder is read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from geoprose.core.errors import ConfigError, DataError, TaskError
from geoprose.evaluation.metrics.base import Item
from geoprose.evaluation.metrics.masks.masks import Counts, count_pixels, decode_rle, rasterise, read_mask_file
from geoprose.evaluation.metrics.masks.masks_read import find_outlines, read_masks
from geoprose.evaluation.metrics.masks.segmentation import ReferringSegmentation

if TYPE_CHECKING:
    from pathlib import Path

SIZE = (20, 10)
SQUARE = [2.0, 2.0, 8.0, 2.0, 8.0, 8.0, 2.0, 8.0]


def _item(prediction: str, polygons: Any = None, root: Path | None = None, **meta: Any) -> Item:
    if polygons is not None:
        meta["polygons"] = polygons
    return Item("a", prediction, ("",), SIZE, codec="geoprose", meta=meta, root=root)


def _save(path: Path, mask: np.ndarray) -> None:
    Image.fromarray(mask.astype(np.uint8) * 255).save(path)


def test_counts_by_hand() -> None:
    counts = count_pixels(np.array([[True, True, False]]), np.array([[True, False, False]]))
    assert counts == Counts(1, 1, 0, 1)
    assert (counts.iou, counts.f1) == (0.5, pytest.approx(2 / 3))
    assert Counts(0, 0, 0, 9).iou == 1.0


def test_rasterise_takes_pixels_whose_centre_lies_inside() -> None:
    assert rasterise([SQUARE], SIZE).sum() == 36
    assert rasterise([[0, 0, 2.4, 0, 2.4, 1, 0, 1]], SIZE).sum() == 2  # the centre of the third pixel is at 2.5
    assert rasterise([[0, 0, 2.6, 0, 2.6, 1, 0, 1]], SIZE).sum() == 3
    assert rasterise([SQUARE, SQUARE], SIZE).sum() == 36
    assert not rasterise([], SIZE).any()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 80), st.integers(0, 40)), min_size=3, max_size=3))
def test_rasterise_equals_shapely(quarters: list[tuple[int, int]]) -> None:
    points = [(x / 4, y / 4) for x, y in quarters]
    triangle = shapely.Polygon(points)
    assume(triangle.area > 0.1)
    ys, xs = np.mgrid[0:10, 0:20] + 0.5
    wanted = shapely.contains_xy(triangle, xs.ravel(), ys.ravel()).reshape(10, 20)
    on_edge = shapely.distance(shapely.points(xs, ys), triangle.boundary) < 1e-6
    drawn = rasterise([[value for point in points for value in point]], SIZE)
    assert np.array_equal(drawn | on_edge, wanted | on_edge)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.booleans(), min_size=35, max_size=35))
def test_run_lengths_equal_pycocotools(values: list[bool]) -> None:
    coco = pytest.importorskip("pycocotools.mask")
    mask = np.array(values).reshape(5, 7)
    counts = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    assert np.array_equal(decode_rle(counts, (5, 7)), mask)


def test_long_runs_equal_pycocotools() -> None:
    coco = pytest.importorskip("pycocotools.mask")
    mask = np.zeros((300, 400), dtype=np.uint8)
    mask[20:280, 100:390] = 1
    mask[100, :] ^= 1
    counts = coco.encode(np.asfortranarray(mask))["counts"].decode()
    assert np.array_equal(decode_rle(counts, (300, 400)), mask != 0)


def test_plain_runs_and_broken_ones() -> None:
    assert decode_rle([2, 1, 3], (2, 3)).tolist() == [[False, True, False], [False, False, False]]
    with pytest.raises(DataError, match="sum to 4"):
        decode_rle([4], (2, 3))
    with pytest.raises(DataError, match="cut"):
        decode_rle("a", (2, 3))


def test_mask_files(tmp_path: Path) -> None:
    mask = np.eye(4, dtype=bool)
    _save(tmp_path / "m.png", mask)
    assert np.array_equal(read_mask_file(tmp_path / "m.png"), mask)
    Image.fromarray(np.dstack([mask * 9, mask * 0, mask * 0]).astype(np.uint8)).save(tmp_path / "rgb.png")
    assert np.array_equal(read_mask_file(tmp_path / "rgb.png"), mask)
    (tmp_path / "t.png").write_text("no picture")
    with pytest.raises(DataError, match=r"t\.png cannot be read"):
        read_mask_file(tmp_path / "t.png")
    with pytest.raises(DataError, match="does not exist"):
        read_mask_file(tmp_path / "n.png")


@pytest.mark.parametrize(
    "text",
    [
        "[100, 200, 400, 200, 400, 800, 100, 800]",
        "[[100, 200], [400, 200], [400, 800], [100, 800]]",
        "The outline is (100,200),(400,200),(400,800),(100,800).",
        "outline (100, 200), (400, 200), (400, 800), (100, 800)"[8:],
        "[[[100, 200], [400, 200], [400, 800], [100, 800]]]",
    ],
)
def test_outlines_in_text(text: str) -> None:
    outlines = find_outlines(text, "geoprose", SIZE)
    assert outlines == [pytest.approx((2, 2, 8, 2, 8, 8, 2, 8))]


def test_two_outlines_in_text() -> None:
    text = "[[0, 0, 100, 0, 100, 100], [500, 500, 600, 500, 600, 600]]"
    assert len(find_outlines(text, "geoprose", SIZE)) == 2
    assert find_outlines("[1, 2, 3, 4]", "geoprose", SIZE) == []
    assert find_outlines("[1, 2, 3, 4, 5, 6, 7]", "geoprose", SIZE) == []


@pytest.mark.parametrize(
    ("text", "kind", "iou"),
    [
        ("[100, 200, 400, 200, 400, 800, 100, 800]", "outline", 1.0),
        ("[100 200 400 800]", "box", 1.0),
        ("[]", "empty", 0.0),
        (json.dumps({"size": [10, 20], "counts": [0, 200]}), "rle", 36 / 200),
    ],
)
def test_what_an_answer_may_be(text: str, kind: str, iou: float) -> None:
    pair = read_masks(_item(text, [SQUARE]))
    assert (pair.kind, pair.problem) == (kind, "")
    assert pair.counts.iou == pytest.approx(iou)


def test_a_file_as_answer_stays_in_the_data_folder(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    _save(root / "right.png", rasterise([SQUARE], SIZE))
    _save(tmp_path / "secret.png", rasterise([SQUARE], SIZE))
    _save(root / "small.png", np.ones((3, 3), dtype=bool))
    problems = {
        name: read_masks(_item(name, root=root, mask="right.png")).problem
        for name in ("right.png", "../secret.png", str(tmp_path / "secret.png"), "absent.png", "small.png")
    }
    assert problems["right.png"] == ""
    assert "outside" in problems["../secret.png"]
    assert "outside" in problems[str(tmp_path / "secret.png")]
    assert "does not exist" in problems["absent.png"]
    assert "3 x 3 px and the reference 20 x 10" in problems["small.png"]


def test_one_class_of_a_map_of_classes(tmp_path: Path) -> None:
    """SAMRS: 255 is background, and class 0 is a class."""
    classes = np.full((10, 20), 255, dtype=np.uint8)
    classes[2:8, 2:8] = 0
    Image.fromarray(classes).save(tmp_path / "classes.png")
    whole = read_masks(_item("[100 200 400 800]", root=tmp_path, mask="classes.png", mask_value=0))
    assert whole.counts.iou == 1.0


def test_absent_references_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="has no reference mask"):
        read_masks(_item("[]"))
    with pytest.raises(TaskError, match="absent"):
        read_masks(_item("[]", root=tmp_path, mask="absent.png"))
    with pytest.raises(TaskError, match="three corners"):
        read_masks(_item("[]", [[1, 2, 3, 4]]))
    with pytest.raises(TaskError, match="no data folder"):
        read_masks(_item("[]", mask="a.png"))


def _mean(metric: ReferringSegmentation, items: list[Item]) -> float:
    return sum(judgement.score for judgement in metric.judge(items).judgements) / len(items)


def test_segmentation_by_hand() -> None:
    """A large object found, a small one missed, one answer that is no mask."""
    small = [0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0]
    items = [_item("[100 200 400 800]", [SQUARE]), _item("[900 900 1000 1000]", [small]), _item("a ship", [SQUARE])]
    judged = ReferringSegmentation().judge(items)
    assert [judgement.score for judgement in judged.judgements] == [1.0, 0.0, 0.0]
    assert [judgement.is_parsed for judgement in judged.judgements] == [True, True, False]
    union = 36 + (2 + 1) + 36
    assert judged.corpus["ciou"] == pytest.approx(36 / union)
    assert _mean(ReferringSegmentation(score="ciou"), items) == pytest.approx(36 / union)
    assert _mean(ReferringSegmentation(score="precision", threshold=0.5), items) == pytest.approx(1 / 3)
    assert _mean(ReferringSegmentation(score="dice"), items) == pytest.approx(1 / 3)
    assert judged.tables["masks"] == {
        "read_from": {"box": 2},
        "unread": 1,
        "first_unread": "a: the answer holds no mask, outline, run lengths or box",
    }


def test_an_unreadable_answer_about_nothing_scores_0_and_an_empty_one_1() -> None:
    assert _mean(ReferringSegmentation(), [_item("there is none", [])]) == 0.0
    assert _mean(ReferringSegmentation(), [_item("[]", [])]) == 1.0


def test_unknown_score() -> None:
    with pytest.raises(ConfigError, match="giou"):
        ReferringSegmentation(score="miou")  # type: ignore[arg-type]
