from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import ConfigError
from geoprose.data.readers.rsgpt import RsgptReader
from tests.fixtures import layouts

if TYPE_CHECKING:
    from pathlib import Path


def test_rsicap_trains_and_rsieval_tests(tmp_path: Path) -> None:
    root = layouts.rsgpt(tmp_path)
    (train,) = RsgptReader().read(root, "train")
    assert train.messages[0].text == "<image>\nDescribe this."
    assert train.meta["domain"] == "RSICap"
    (test,) = RsgptReader().read(root, "test")
    assert test.meta["answers"] == ["Two planes."]
    (question,) = RsgptReader(what="qa").read(root, "test")
    assert (question.task, question.meta["answers"]) == ("quantity", ["Two."])
    assert question.images == ("RSIEval/images/P1384_0054.png",)


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ConfigError, match="caption or qa"):
        RsgptReader(what="vqa")  # type: ignore[arg-type]
