from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import ConfigError, DataError
from geoprose.data.readers.karpathy import KarpathyReader
from tests.fixtures import layouts

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_name_that_occurs_twice_is_one_picture(tmp_path: Path) -> None:
    samples = list(KarpathyReader(data_set="rsicd").read(layouts.rsicd(tmp_path), "test"))
    assert [sample.id for sample in samples] == ["airport_1", "port_2"]
    assert samples[0].meta["answers"] == ["planes are parked .", "an airport .", "a runway ."]
    assert samples[0].images == ("RSICD_images/airport_1.jpg",)


def test_retrieval_asks_both_ways_and_knows_equal_captions(tmp_path: Path) -> None:
    samples = list(KarpathyReader(data_set="rsicd", what="retrieval").read(layouts.rsicd(tmp_path), "test"))
    pictures = {sample.id: sample for sample in samples if sample.task == "image_to_text"}
    texts = {sample.id: sample for sample in samples if sample.task == "text_to_image"}
    assert list(pictures) == ["airport_1", "port_2"]
    assert list(texts) == ["airport_1#0", "airport_1#1", "airport_1#2", "port_2#0", "port_2#1"]
    # "an airport ." and "An  airport ." are one text: both pictures are right, the published one first.
    assert texts["port_2#1"].meta["answers"] == ["port_2", "airport_1"]
    assert texts["port_2#1"].meta["captions_of"] == "port_2"
    assert texts["port_2#0"].meta["answers"] == ["port_2"]
    assert pictures["port_2"].meta["answers"] == ["port_2#0", "port_2#1", "airport_1#1"]
    assert all(not sample.images for sample in texts.values())


def test_every_answer_of_retrieval_is_a_query_of_the_other_side(tmp_path: Path) -> None:
    samples = list(KarpathyReader(data_set="rsicd", what="retrieval").read(layouts.rsicd(tmp_path), "test"))
    by_id = {sample.id: sample for sample in samples}
    for sample in samples:
        answers = sample.meta["answers"]
        assert isinstance(answers, list)
        assert {by_id[str(answer)].task for answer in answers} == {"image_to_text", "text_to_image"} - {sample.task}


def test_sentences_that_repeat_are_kept(tmp_path: Path) -> None:
    root = layouts.rsicd(tmp_path)
    entry = {"filename": "a.jpg", "split": "test", "sentences": [{"raw": "an airport ."}] * 5}
    layouts.write_json_file(root / "dataset_rsicd.json", {"images": [entry]})
    (sample,) = KarpathyReader().read(root, "test")
    assert sample.meta["answers"] == ["an airport ."] * 5


def test_nwpu_captions_lie_under_their_class(tmp_path: Path) -> None:
    samples = list(KarpathyReader(data_set="nwpu-captions").read(layouts.nwpu_captions(tmp_path), "test"))
    assert [sample.meta["answers"] for sample in samples] == [["an airport .", "a runway ."]]
    assert samples[0].images == ("NWPU_images/airport/airport_001.jpg",)


def test_a_path_that_climbs_out_is_refused(tmp_path: Path) -> None:
    root = layouts.rsicd(tmp_path)
    entry = {"filename": "../secret.jpg", "split": "test", "sentences": [{"raw": "a"}]}
    layouts.write_json_file(root / "dataset_rsicd.json", {"images": [entry]})
    with pytest.raises(DataError, match="not a path below"):
        list(KarpathyReader().read(root, "test"))


def test_missing_files_and_wrong_options_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"dataset_rsicd\.json.*AID"):
        list(KarpathyReader().read(tmp_path, "test"))
    with pytest.raises(ConfigError, match="rsicd"):
        KarpathyReader(data_set="rsicdd")
    with pytest.raises(ConfigError, match="caption or retrieval"):
        KarpathyReader(what="captions")  # type: ignore[arg-type]
