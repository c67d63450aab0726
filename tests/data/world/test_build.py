from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import numpy as np
import pytest
import rasterio
from PIL import Image

from geoprose.core.errors import ConfigError, DataError
from geoprose.core.files import sha256_file
from geoprose.data.check import check_dataset
from geoprose.data.llava import read_llava
from geoprose.data.neutral import read_samples
from geoprose.data.world.build import build_world
from geoprose.data.world.card import summary_lines
from geoprose.data.world.classes import NAMES, class_index
from geoprose.data.world.questions import TASKS
from geoprose.data.world.rasters import read_labels
from geoprose.data.world.scene import held_out_scene, held_out_tiles
from tests.fixtures.world import WIDTH_PX, small_settings, write_globe, write_land_cover

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.core.types import Sample


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    write_globe(folder / "globe.png")
    write_land_cover(folder / "cover.tif")
    return folder / "globe.png", folder / "cover.tif"


@pytest.fixture(scope="module")
def world(inputs, tmp_path_factory) -> Path:
    out_dir = tmp_path_factory.mktemp("built") / "world"
    build_world(out_dir, small_settings(), *inputs)
    return out_dir


@pytest.fixture(scope="module")
def samples(world) -> dict[str, list[Sample]]:
    return {split: read_samples(world / f"{split}.jsonl") for split in ("train", "val", "test")}


def _files(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in folder.rglob("*") if path.is_file()}


def test_two_builds_have_the_same_bytes(world, inputs, tmp_path):
    build_world(tmp_path / "again", small_settings(), *inputs)
    assert _files(tmp_path / "again") == _files(world)


def test_the_data_check_finds_nothing(world):
    report = check_dataset(world)
    assert report.is_clean, report.to_dict()


def test_the_summary_names_every_split_and_type(world):
    card = json.loads((world / "card.json").read_text())
    text = "\n".join(summary_lines(card))
    for word in ("train: ", "val: ", "test: ", "presence: ", "box: ", "gap_px_train_test 32", "upside down"):
        assert word in text


def test_every_question_type_is_asked(samples):
    assert {sample.task for sample in samples["train"]} == set(TASKS)
    assert {"presence", "comparison", "amount", "two_tile", "box"} <= {sample.task for sample in samples["test"]}


def test_closed_test_questions_cannot_be_answered_blind(samples):
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for sample in samples["test"]:
        counts[sample.task, sample.messages[0].text][sample.messages[1].text] += 1
    for (task, _), answers in counts.items():
        if task in ("presence", "two_tile"):
            assert max(answers.values()) - min(answers.values()) <= 1


def test_splits_keep_a_tile_between_them(samples, world):
    columns = {
        split: {int(image.split("x")[1][:4]) // 32 for sample in group for image in sample.images}
        for split, group in samples.items()
    }
    for first, second in (("train", "test"), ("train", "val"), ("val", "test")):
        distances = [abs(a - b) for a in columns[first] for b in columns[second]]
        assert min(min(distance, WIDTH_PX // 32 - distance) for distance in distances) >= 2
    card = json.loads((world / "card.json").read_text())
    assert card["leak_check"]["gap_px_train_test"] >= 32


def test_tiles_show_what_the_scene_shows_at_their_georeference(samples, world):
    with rasterio.open(world / "blue_marble.tif") as scene:
        for sample in samples["test"][::7]:
            for image, georef in zip(sample.images, sample.georefs, strict=True):
                assert georef is not None
                row, column = scene.index(georef.transform[2] + 1e-6, georef.transform[5] - 1e-6)
                window = rasterio.windows.Window(column, row, georef.width_px, georef.height_px)
                with Image.open(world / image) as picture:
                    assert np.array_equal(np.asarray(picture), scene.read(window=window).transpose(1, 2, 0))


def test_the_scene_is_a_tiled_geotiff_with_overviews(world):
    with rasterio.open(world / "blue_marble.tif") as scene:
        assert scene.crs.to_string() == "EPSG:4326"
        assert scene.bounds == (-180, -90, 180, 90)
        assert scene.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert scene.overviews(1)
        assert [item.name for item in scene.colorinterp] == ["red", "green", "blue"]


def test_label_facts_agree_with_the_land_cover(samples, inputs):
    labels = read_labels(inputs[1], WIDTH_PX // 2, WIDTH_PX)
    for sample in [sample for sample in samples["test"] if len(sample.images) == 1][::5]:
        x_px, y_px = (int(part[1:]) for part in str(sample.meta["tile"]).split("_"))
        tile = labels[y_px : y_px + 32, x_px : x_px + 32]
        composition, cells = sample.meta["composition"], sample.meta["cell_composition"]
        for name in NAMES:
            assert composition.get(name, 0) == pytest.approx(np.mean(tile == class_index(name)), abs=1e-3)
        assert len(cells) == 16
        assert cells[1].get("water", 0) == pytest.approx(np.mean(tile[:8, 8:16] == 0), abs=1e-3)


def test_samples_of_two_tiles_carry_both(samples):
    pairs = [sample for sample in samples["test"] if sample.task == "two_tile"]
    assert pairs
    for sample in pairs:
        assert len(sample.images) == len(sample.georefs) == sample.messages[0].text.count("<image>") == 2
        assert len(sample.meta["cell_composition"]) == 32


def test_training_questions_are_weighted_and_others_are_not(samples):
    assert all(sample.meta["weight"] > 0 for sample in samples["train"])
    assert not any("weight" in sample.meta for sample in samples["test"])


def test_the_conversations_hold_the_same_questions(samples, world):
    for split, group in samples.items():
        turns = sum(len(sample.messages) // 2 for sample in read_llava(world / f"{split}.json"))
        assert turns == len(group)
    first = read_llava(world / "train.json")[0]
    assert first.messages[0].text.startswith("<image>\n")
    assert not any("<image>" in message.text for message in first.messages[1:])


def test_a_training_tile_is_shown_once_as_it_lies_or_turned(samples):
    tiles = {str(sample.meta["tile"]) for sample in samples["train"] if len(sample.images) == 1}
    places = ["_".join(tile.split("_")[:2]) for tile in tiles]
    assert len(set(places)) == len(places)
    assert 0.3 < sum(tile.endswith("_t5") for tile in tiles) / len(tiles) < 0.7


def test_no_tile_is_turned_unless_wanted(inputs, tmp_path):
    build_world(tmp_path / "world", small_settings(train_turns=(0,)), *inputs)
    assert not any(sample.meta.get("augmented") for sample in read_samples(tmp_path / "world" / "train.jsonl"))


def test_turned_training_tiles_have_true_answers_and_no_north(inputs, samples):
    augmented = [sample for sample in samples["train"] if sample.meta.get("augmented")]
    assert augmented
    assert all(georef is None for sample in augmented if len(sample.images) == 1 for georef in sample.georefs)
    assert not any(sample.meta.get("augmented") for sample in samples["test"] + samples["val"])
    labels = read_labels(inputs[1], WIDTH_PX // 2, WIDTH_PX)
    located = next(sample for sample in augmented if sample.task == "location")
    x_px, y_px = (int(part[1:]) for part in str(located.meta["tile"]).split("_")[:2])
    tile = np.rot90(labels[y_px : y_px + 32, x_px : x_px + 32][:, ::-1], 1)
    name = located.messages[0].text.removeprefix("<image>\nLocate ")
    rows, columns = np.nonzero(tile == class_index(name))
    offset = {"north": 15.5 - rows.mean(), "south": rows.mean() - 15.5}
    offset |= {"west": 15.5 - columns.mean(), "east": columns.mean() - 15.5}
    assert located.messages[1].text == max(offset, key=lambda key: offset[key])


def test_held_out_places_lie_in_the_test_strips(world, samples):
    region = held_out_scene(world)
    west, south, east, north = region.bbox
    assert (region.window_px[0] // 32, region.window_px[2]) == (8, 96)
    assert east - west == pytest.approx(360 / WIDTH_PX * 96)
    assert south < north
    assert sum(region.composition.values()) == pytest.approx(1, abs=0.01)
    tested = {image for sample in samples["test"] for image in sample.images}
    places = held_out_tiles(world)
    assert len(places) == 12
    for place in places:
        assert f"images/x{place.window_px[0]:04d}_y{place.window_px[1]:04d}.png" in tested
        assert place.scene_path.is_file()


def test_places_of_a_folder_that_is_no_world_say_what_to_do(tmp_path):
    with pytest.raises(DataError, match="geoprose data build world"):
        held_out_scene(tmp_path)


def test_an_older_world_is_replaced_and_anything_else_is_not(world, inputs, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="not a built world"):
        build_world(tmp_path / "other", small_settings(), *inputs)
    assert (tmp_path / "other" / "notes.txt").read_text() == "mine"
    (world / "stale.txt").write_text("old")
    build_world(world, small_settings(), *inputs)
    assert not (world / "stale.txt").exists()


def test_a_failed_build_leaves_nothing(inputs, tmp_path):
    write_land_cover(tmp_path / "flipped.tif", upside_down=True)
    with pytest.raises(DataError, match="opposite directions"):
        build_world(tmp_path / "out" / "world", small_settings(), inputs[0], tmp_path / "flipped.tif")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_unknown_question_type_is_refused(inputs, tmp_path):
    quotas = {"presense": small_settings().eval_quotas["presence"]}
    with pytest.raises(ConfigError, match="Did you mean 'presence'"):
        build_world(tmp_path / "world", small_settings(eval_quotas=quotas), *inputs)


def test_a_globe_of_one_class_has_nothing_to_ask(inputs, tmp_path):
    with pytest.raises(DataError, match="No tile worth asking about"):
        build_world(tmp_path / "world", small_settings(max_water=0.0001, max_ice=0.0001, min_labelled=1.0), *inputs)
