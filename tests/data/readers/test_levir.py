from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import ConfigError, DataError
from geoprose.data.readers.levir import ChangePairsReader, LevirCcReader
from tests.fixtures import layouts

if TYPE_CHECKING:
    from pathlib import Path


def test_sentences_about_pairs_keep_the_change_flag(tmp_path: Path) -> None:
    samples = list(LevirCcReader().read(layouts.levir_cc(tmp_path), "test"))
    assert [(s.id, s.meta["is_changed"]) for s in samples] == [("test_000001", True), ("test_000002", False)]
    assert samples[0].images == ("images/test/A/test_000001.png", "images/test/B/test_000001.png")
    assert samples[0].meta["answers"] == ["a house is built .", "a new villa ."]
    assert samples[0].messages[0].text.startswith("<image>\n<image>\n")


def test_masks_say_whether_anything_changed(tmp_path: Path) -> None:
    root = layouts.levir_cd(tmp_path)
    masks = list(ChangePairsReader().read(root, "test"))
    assert [(s.task, s.meta["is_changed"], s.meta["mask"]) for s in masks] == [
        ("change", True, "test/label/test_1.png"),
        ("change", False, "test/label/test_2.png"),
    ]
    asked = list(ChangePairsReader(what="yes_no").read(root, "test"))
    assert [s.meta["answers"] for s in asked] == [["yes"], ["no"]]


def test_pairs_can_be_listed(tmp_path: Path) -> None:
    root = layouts.levir_cd(tmp_path)
    for folder in ("A", "B", "label"):
        (root / "test" / folder).rename(root / folder)
    (root / "test").rmdir()
    layouts.write_lines(root / "list/test.txt", ["test_2.png"])
    assert [s.id for s in ChangePairsReader().read(root, "test")] == ["test_2-mask"]


def test_a_missing_half_is_named(tmp_path: Path) -> None:
    root = layouts.levir_cd(tmp_path)
    (root / "test/B/test_2.png").unlink()
    with pytest.raises(DataError, match="test/B/test_2"):
        list(ChangePairsReader().read(root, "test"))


def test_missing_sets_say_what_to_download(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="RSICC"):
        list(LevirCcReader().read(tmp_path, "test"))
    with pytest.raises(DataError, match="justchenhao"):
        list(ChangePairsReader().read(tmp_path, "test"))
    with pytest.raises(ConfigError, match="mask or yes_no"):
        ChangePairsReader(what="boxes")  # type: ignore[arg-type]
