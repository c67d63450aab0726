from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import ConfigError, DataError
from geoprose.data.readers.chatearthnet import ChatEarthNetReader
from tests.fixtures import layouts

if TYPE_CHECKING:
    from pathlib import Path


def test_captions_are_one_line_however_they_are_written(tmp_path: Path) -> None:
    samples = list(ChatEarthNetReader().read(layouts.chatearthnet(tmp_path), "test"))
    assert [s.meta["answers"] for s in samples] == [["Mostly forest."], ["Water. Sand."]]
    assert samples[1].images == ("s2_rgb_images/s2_images/b_2.png",)
    assert samples[0].meta["gsd_m"] == 10.0


def test_empty_captions_and_other_writers_are_refused(tmp_path: Path) -> None:
    root = layouts.chatearthnet(tmp_path)
    layouts.write_json_file(root / "json_files/ChatEarthNet_caps_35_test.json", [{"image": "a.png", "caption": " "}])
    with pytest.raises(DataError, match="entry 0: has an empty caption"):
        list(ChatEarthNetReader().read(root, "test"))
    with pytest.raises(DataError, match="caps_4v_test"):
        list(ChatEarthNetReader(writer="4v").read(root, "test"))
    with pytest.raises(ConfigError, match="35 or 4v"):
        ChatEarthNetReader(writer="4o")  # type: ignore[arg-type]
