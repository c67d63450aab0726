from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import ConfigError, DataError
from geoprose.data.readers.general.published import SEED_TYPES
from geoprose.data.readers.general.seed_bench import SeedBenchReader
from tests.fixtures import general

if TYPE_CHECKING:
    from pathlib import Path


def test_pictures_have_no_ending_and_categories_have_names(tmp_path: Path) -> None:
    (sample,) = SeedBenchReader().read(general.seed_bench(tmp_path), "test")
    assert sample.images == ("SEED-Bench-image/1454426_2591111986",)
    assert sample.meta["category"] == SEED_TYPES[5] == "Instances Counting"
    assert sample.meta["options"] == ["One", "Two", "Three", "Four"]


def test_videos_are_frames_evenly_from_first_to_last(tmp_path: Path) -> None:
    (sample,) = SeedBenchReader(what="video", frames=4).read(general.seed_bench(tmp_path), "test")
    assert [image[-10:-4] for image in sample.images] == ["000001", "000004", "000007", "000010"]
    assert sample.messages[0].text.count("<image>") == 4


def test_types_without_name_and_ids_that_climb_out_are_refused(tmp_path: Path) -> None:
    path = general.seed_bench(tmp_path) / "SEED-Bench.json"
    document = json.loads(path.read_text())
    question = document["questions"][0]
    for change, message in (({"question_type_id": 99}, "99 has no name"), ({"data_id": "../x"}, "not a path")):
        path.write_text(json.dumps({**document, "questions": [{**question, **change}]}))
        with pytest.raises(DataError, match=f"question 0.*{message}"):
            list(SeedBenchReader().read(tmp_path, "test"))
    with pytest.raises(ConfigError, match="image or video"):
        SeedBenchReader(what="audio")  # type: ignore[arg-type]
