"""Thumbnails stay small, say why they are missing, and carry boxes in the right places."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from geoprose.evaluation.report.pictures import PictureBudget, outlines

if TYPE_CHECKING:
    from pathlib import Path


def test_small_pictures_are_kept_and_large_ones_shrink(tmp_path: Path) -> None:
    Image.new("RGB", (64, 32)).save(tmp_path / "small.png")
    noise = np.random.default_rng(0).integers(0, 255, (900, 1200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "large.png")
    budget = PictureBudget(tmp_path)
    small, large = budget.thumbnail("small.png"), budget.thumbnail("large.png")
    assert small.uri.startswith("data:image/png;base64,")
    assert small.is_small
    assert large.uri.startswith("data:image/jpeg;base64,")
    assert (large.width_px, large.height_px) == (1200, 900)  # boxes are in pixels of the picture itself
    assert len(large.uri) < 120_000


def test_sixteen_bit_pictures_are_stretched(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 40000], [20000, 10000]], dtype=np.uint16)).save(tmp_path / "deep.tif")
    assert PictureBudget(tmp_path).thumbnail("deep.tif").uri


def test_what_cannot_be_shown_says_why(tmp_path: Path) -> None:
    inside = tmp_path / "data"
    inside.mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    (inside / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    budget = PictureBudget(inside)
    for name, why in {"gone.png": "not found", "../secret.png": "leaves", "broken.png": "cannot be read"}.items():
        found = budget.thumbnail(name)
        assert not found.uri
        assert why in found.why_not
    assert budget.num_refused == 3
    assert "--data" in PictureBudget(None).thumbnail("x.png").why_not


def test_the_total_size_is_limited(tmp_path: Path) -> None:
    for number in range(5):
        Image.new("RGB", (40, 40), (number, 0, 0)).save(tmp_path / f"{number}.png")
    budget = PictureBudget(tmp_path, max_bytes=150)
    shown = [budget.thumbnail(f"{number}.png") for number in range(5)]
    assert 0 < sum(bool(one.uri) for one in shown) < 5
    assert "limit" in shown[-1].why_not


def test_reference_boxes_come_from_pixels_and_predictions_from_text() -> None:
    drawing = {"boxes": [[10, 20, 30, 40]], "region": [0, 0, 5, 0, 5, 5, 0, 5], "size_px": [100, 200]}
    found = outlines("a car (100,200),(300,400)", "", drawing, {"codec": "unit"}, (50, 100))
    assert ("region", "0.0,0.0 2.5,0.0 2.5,2.5 0.0,2.5") in found
    # The picture on disk has half the size that the boxes were measured in.
    assert ("reference", "5.0,10.0 15.0,10.0 15.0,20.0 5.0,20.0") in found
    answer = outlines("[0.1, 0.2, 0.5, 0.6]", "", {"boxes": [[0, 0, 1, 1]]}, {"codec": "unit"}, (100, 100))
    assert ("predicted", "10.0,20.0 50.0,20.0 50.0,60.0 10.0,60.0") in answer


def test_references_are_read_from_text_where_there_are_no_pixels() -> None:
    reading = {"codec": "unit", "reference_codec": "unit"}
    found = dict(outlines("[0, 0, 1, 1]", "[0.5, 0.5, 1.0, 1.0]", {}, reading, (10, 10)))
    assert found == {
        "reference": "5.0,5.0 10.0,5.0 10.0,10.0 5.0,10.0",
        "predicted": "0.0,0.0 10.0,0.0 10.0,10.0 0.0,10.0",
    }
    assert outlines("yes", "no", {}, reading, (10, 10)) == ()
