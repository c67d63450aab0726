"""Each fault of a data set is found, counted, and found alone."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image

from geoprose.core.errors import ConfigError, DataError
from geoprose.core.types import GeoRef, Message
from geoprose.data import inspect_image as inspection
from geoprose.data.check import check_dataset
from geoprose.data.faults import FAULTS
from geoprose.data.llava import write_llava
from tests.fixtures.datasets import clean_dataset, make_sample, tile_georef, write_dataset, write_picture


def kinds(report) -> dict[str, int]:
    return {fault.kind: fault.count for fault in report.faults}


def check_samples(tmp_path, *samples, codec=None):
    return kinds(check_dataset(write_dataset(tmp_path, samples), codec))


def test_a_clean_data_set_has_no_findings(tmp_path) -> None:
    report = check_dataset(clean_dataset(tmp_path))
    assert report.is_clean
    assert (report.num_samples, report.num_images) == (8, 8)
    assert dict(report.splits) == {"train": 4, "test": 4}


def test_a_single_file_is_checked_alone(tmp_path) -> None:
    report = check_dataset(clean_dataset(tmp_path) / "test.jsonl")
    assert (report.num_samples, dict(report.splits)) == (4, {"test": 4})


def test_broken_records_are_findings_and_the_rest_is_checked(tmp_path) -> None:
    root = clean_dataset(tmp_path)
    path = root / "train.jsonl"
    path.write_text(path.read_text() + "{\n")
    report = check_dataset(root)
    assert kinds(report) == {"bad_record": 1}
    assert report.num_samples == 8
    assert "train.jsonl, line 5" in report.faults[0].examples[0]


def test_duplicate_ids(tmp_path) -> None:
    assert check_samples(tmp_path, make_sample(0), replace(make_sample(1), id="train-0")) == {"duplicate_id": 1}


def test_missing_images(tmp_path) -> None:
    root = clean_dataset(tmp_path)
    (root / "images" / "train_2.png").unlink()
    report = check_dataset(root)
    assert kinds(report) == {"missing_image": 1}
    assert report.faults[0].examples == ("train.jsonl, id train-2: images/train_2.png",)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
def test_truncated_images(tmp_path, suffix) -> None:
    sample = replace(make_sample(0), images=(f"images/a.{suffix}",))
    root = write_dataset(tmp_path, [sample])
    assert check_dataset(root).is_clean
    path = root / sample.images[0]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert kinds(check_dataset(root)) == {"unreadable_image": 1}


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n", b"II*\x00\x08\x00\x00\x00"])
def test_files_that_are_no_pictures(tmp_path, content) -> None:
    root = write_dataset(tmp_path, [make_sample(0)])
    (root / "images" / "train_0.png").write_bytes(content)
    assert kinds(check_dataset(root)) == {"unreadable_image": 1}


def test_pictures_with_too_many_pixels(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(inspection, "MAX_PIXELS", 100)
    assert check_samples(tmp_path, make_sample(0)) == {"unreadable_image": 1}


def test_a_sixteen_bit_geotiff_with_many_bands_is_a_picture(tmp_path) -> None:
    sample = replace(make_sample(0), images=("images/a.tif",))
    root = write_dataset(tmp_path, [sample], with_pictures=False)
    (root / "images").mkdir()
    pixels = np.random.default_rng(0).integers(0, 60_000, (6, 32, 32), dtype=np.uint16)
    with rasterio.open(
        root / "images" / "a.tif", "w", driver="GTiff", width=32, height=32, count=6, dtype="uint16",
        crs="EPSG:32631", transform=Affine(*tile_georef(0).transform),
    ) as dataset:  # fmt: skip
        dataset.write(pixels)
    assert check_dataset(root).is_clean


@pytest.mark.parametrize("image", ["../secret.png", "/etc/hostname", "images/../../x.png", "C:\\x.png"])
def test_paths_that_leave_the_folder(tmp_path, image) -> None:
    sample = replace(make_sample(0), images=(image,))
    root = write_dataset(tmp_path / "data", [sample], with_pictures=False)
    write_picture(tmp_path / "secret.png", 0)
    assert kinds(check_dataset(root)) == {"image_outside": 1}


@pytest.mark.parametrize("text", ["Is there water?", "<image><image> Is there water?"])
def test_image_marks_that_do_not_match(tmp_path, text) -> None:
    sample = replace(make_sample(0), messages=(Message("user", text), Message("assistant", "yes")))
    assert check_samples(tmp_path, sample) == {"image_count": 1}


@pytest.mark.parametrize(
    ("messages", "kind"),
    [
        ((Message("user", "<image>\nq"), Message("assistant", " \n")), "empty_answer"),
        ((Message("user", "<image>\nq"),), "empty_answer"),
        ((Message("user", "<image>\n "), Message("assistant", "yes")), "empty_question"),
    ],
)
def test_empty_turns(tmp_path, messages, kind) -> None:
    assert check_samples(tmp_path, replace(make_sample(0), messages=messages)) == {kind: 1}


@pytest.mark.parametrize(("answer", "kind"), [("yes", "duplicate_question"), ("no", "conflicting_answers")])
def test_the_same_question_twice(tmp_path, answer, kind) -> None:
    again = replace(make_sample(0, answer=answer), id="other")
    assert check_samples(tmp_path, make_sample(0), again) == {kind: 1}


def test_the_same_question_twice_in_one_conversation(tmp_path) -> None:
    sample = make_sample(0)
    turns = (*sample.messages, Message("user", "Is there  water?"), Message("assistant", "no"))
    assert check_samples(tmp_path, replace(sample, messages=turns)) == {"conflicting_answers": 1}


@pytest.mark.parametrize(
    ("answer", "codec", "kind"),
    [
        ("{<1><2><3><104>}", None, "box_out_of_scale"),
        ("{<1><2><300><400>}", "geochat", "box_out_of_scale"),
        ("{<1><2><3><4>|<400>}", None, "angle_over_360"),
        ("{<1><2><3>}", None, "unreadable_box"),
        ("{<3><2><1><4>}", None, "odd_box"),
        ("{<1><2><1><4>}", None, "odd_box"),
        ("[0.1, 0.2, 0.3, 1.2]", "unit", "box_out_of_scale"),
        ("[[1, 2, 3, 4, 361]]", "earthdial", "angle_over_360"),
        ("[1 2 3]", "geoprose", "unreadable_box"),
        ('[{"bbox_2d": [0, 0, 33, 10]}]', "qwen2_5_vl", "box_out_of_scale"),
        ("[1 2 3 4]", "geoprose", None),
        ("[[1, 2, 3, 4, 361]]", None, None),
    ],
)
def test_boxes(tmp_path, answer, codec, kind) -> None:
    assert check_samples(tmp_path, make_sample(0, answer=answer), codec=codec) == ({kind: 1} if kind else {})


def test_the_codec_of_the_card_and_of_the_record_are_used(tmp_path) -> None:
    root = write_dataset(tmp_path, [make_sample(0, answer="[1 2 3]")])
    assert check_dataset(root).is_clean
    (root / "card.json").write_text('{"box_codec": "geoprose"}')
    assert kinds(check_dataset(root)) == {"unreadable_box": 1}
    declared = replace(make_sample(0, answer="[1 2 3]"), meta={"box_codec": "qwen_vl"})
    assert check_dataset(write_dataset(tmp_path, [declared])).is_clean


def test_boxes_in_questions_are_checked(tmp_path) -> None:
    sample = make_sample(0, question="What is at {<1><2><3><4>|<720>}?")
    assert check_samples(tmp_path, sample) == {"angle_over_360": 1}


def test_a_georeference_without_a_crs(tmp_path) -> None:
    sample = replace(make_sample(0), georefs=(tile_georef(0, crs=None),))
    assert check_samples(tmp_path, sample) == {"georef_without_crs": 1}


def test_a_crs_that_nobody_knows(tmp_path) -> None:
    sample = replace(make_sample(0), georefs=(tile_georef(0, crs="EPSG:999999"),))
    assert check_samples(tmp_path, sample) == {"georef_bad_crs": 1}


def test_a_georeference_of_another_size(tmp_path) -> None:
    sample = replace(make_sample(0), georefs=(tile_georef(0, side_px=64),))
    assert check_samples(tmp_path, sample) == {"georef_size": 1}


def test_the_same_file_in_two_splits(tmp_path) -> None:
    leak = replace(make_sample(0, "test"), images=("images/train_0.png",), georefs=())
    report = check_dataset(write_dataset(tmp_path, [make_sample(0), leak]))
    assert kinds(report) == {"leak_path": 1, "duplicate_question": 1}
    expected = (
        "images/train_0.png in train (train.jsonl, id train-0) and images/train_0.png in test (test.jsonl, id test-0)"
    )
    assert report.faults[-1].examples == (expected,)


def test_the_same_pixels_in_two_splits_under_another_format(tmp_path) -> None:
    copy = replace(make_sample(0, "test"), images=("images/copy.webp",))
    root = write_dataset(tmp_path, [make_sample(0), copy])
    with Image.open(root / "images" / "train_0.png") as picture:
        picture.save(root / "images" / "copy.webp", lossless=True)
    assert kinds(check_dataset(root)) == {"leak_content": 1}


@pytest.mark.parametrize(
    ("column", "expected"), [(0.5, {"leak_footprint": 1}), (1.0, {}), (0.999, {"leak_footprint": 1})]
)
def test_overlapping_ground_in_two_splits(tmp_path, column, expected) -> None:
    test = replace(make_sample(0, "test"), georefs=(tile_georef(column),))
    assert check_samples(tmp_path, make_sample(0), test) == expected


def test_overlapping_ground_in_two_coordinate_systems(tmp_path) -> None:
    # The tile lies on the central meridian of zone 31: 3 degrees east, 45.15 degrees north.
    degrees = GeoRef((1e-4, 0.0, 2.999, 0.0, -1e-4, 45.155), "EPSG:4326", 32, 32)
    elsewhere = GeoRef((1e-4, 0.0, 4.0, 0.0, -1e-4, 45.155), "EPSG:4326", 32, 32)
    for georef, expected in ((degrees, {"leak_footprint": 1}), (elsewhere, {})):
        test = replace(make_sample(0, "test"), georefs=(georef,))
        assert check_samples(tmp_path, make_sample(0), test) == expected


def test_records_without_a_split_do_not_leak(tmp_path) -> None:
    samples = [replace(make_sample(0), split=""), replace(make_sample(0, question="Is it dry?"), split="", id="b")]
    assert check_samples(tmp_path, *samples) == {}


def test_a_llava_file_is_checked(tmp_path) -> None:
    write_llava([make_sample(0, answer="{<1><2><3><4>|<400>}"), make_sample(1)], tmp_path / "train.json")
    write_picture(tmp_path / "images" / "train_0.png", 0)
    for path in (tmp_path / "train.json", tmp_path):
        report = check_dataset(path)
        assert kinds(report) == {"missing_image": 1, "angle_over_360": 1}
        assert dict(report.splits) == {"train": 2}
    lines = [json.dumps(entry) for entry in json.loads((tmp_path / "train.json").read_text())]
    (tmp_path / "train.jsonl").write_text("\n".join(lines))
    assert check_dataset(tmp_path / "train.jsonl").num_samples == 2


def test_examples_are_limited_and_counts_are_not(tmp_path) -> None:
    root = write_dataset(tmp_path, [make_sample(number, answer="") for number in range(9)])
    fault = check_dataset(root, max_examples=2).faults[0]
    assert (fault.count, len(fault.examples)) == (9, 2)
    assert fault.meaning == FAULTS["empty_answer"]


def test_nothing_to_check_is_an_error(tmp_path) -> None:
    with pytest.raises(DataError, match="holds no"):
        check_dataset(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        check_dataset(tmp_path / "x.jsonl")
    (tmp_path / "card.json").write_text("{}")
    with pytest.raises(DataError, match="no annotation file"):
        check_dataset(tmp_path)


def test_an_unknown_codec_is_named(tmp_path) -> None:
    with pytest.raises(ConfigError, match="geochat"):
        check_dataset(clean_dataset(tmp_path), codec="geochatt")


def test_twenty_thousand_records_take_seconds(tmp_path) -> None:
    samples = []
    for number in range(20_000):
        split, image = ("train", number % 300) if number % 5 else ("test", 300 + number % 100)
        sample = make_sample(image, split, question=f"Is there {number}?")
        samples.append(replace(sample, id=str(number)))
    root = write_dataset(tmp_path, samples)
    start = time.process_time()
    report = check_dataset(root)
    assert time.process_time() - start < 10.0
    assert report.is_clean
    assert report.num_samples == 20_000
