from __future__ import annotations

import numpy as np
import pytest

from geoprose.data.world.classes import NUM_CLASSES, UNLABELLED, class_index
from geoprose.data.world.tiles import GRID, Tile, digest_of, facts_of, globe_georef, tile_georef, turned


def test_composition_counts_every_pixel_once():
    labels = np.full((8, 8), class_index("forest"), np.uint8)
    labels[:2, :2] = class_index("water")
    labels[6:, 6:] = UNLABELLED
    facts = facts_of(Tile(0, 0, 8, ""), labels)
    assert facts.fractions_C[class_index("water")] == pytest.approx(4 / 64)
    assert facts.fractions_C[class_index("forest")] == pytest.approx(56 / 64)
    assert facts.cells_GGC[0, 0, class_index("water")] == 1
    assert facts.cells_GGC[3, 3].sum() == 0
    assert facts.cells_GGC.shape == (GRID, GRID, NUM_CLASSES)


def test_cells_are_rows_from_the_north_west():
    labels = np.zeros((16, 16), np.uint8)
    labels[0:4, 12:16] = 3
    cells = facts_of(Tile(0, 0, 16, ""), labels).cells_GGC
    assert np.argwhere(cells[..., 3] == 1).tolist() == [[0, 3]]


def test_the_eight_symmetries_differ_and_keep_composition():
    labels = np.random.default_rng(1).integers(0, NUM_CLASSES, (8, 8)).astype(np.uint8)
    versions = [turned(labels, turn) for turn in range(8)]
    assert len({version.tobytes() for version in versions}) == 8
    assert np.array_equal(versions[0], labels)
    base = facts_of(Tile(0, 0, 8, ""), labels).fractions_C
    for version in versions:
        assert np.allclose(facts_of(Tile(0, 0, 8, ""), version).fractions_C, base)


def test_georeference_of_a_tile():
    georef = tile_georef(Tile(64, 128, 64, ""), globe_georef(5400, 2700))
    assert georef is not None
    assert georef.transform == pytest.approx((1 / 15, 0, -180 + 64 / 15, 0, -1 / 15, 90 - 128 / 15))
    assert (georef.crs, georef.width_px, georef.height_px) == ("EPSG:4326", 64, 64)


def test_a_turned_tile_has_no_georeference_and_another_name():
    assert tile_georef(Tile(64, 128, 64, "", turn=3), globe_georef(5400, 2700)) is None
    assert Tile(64, 128, 64, "", turn=3).id != Tile(64, 128, 64, "").id


def test_digests_tell_pictures_apart():
    picture = np.zeros((4, 4, 3), np.uint8)
    other = picture.copy()
    other[0, 0, 0] = 1
    assert digest_of(picture) == digest_of(picture.copy()) != digest_of(other)
