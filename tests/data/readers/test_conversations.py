from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import ConfigError, DataError
from geoprose.data.readers.conversations import ConversationsReader
from geoprose.evaluation.answering.expand import turns_of
from tests.fixtures import general

if TYPE_CHECKING:
    from pathlib import Path


def test_conversations_keep_their_turns_and_get_ids_of_their_own(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        samples = list(ConversationsReader().read(general.conversations(tmp_path), "test"))
    assert [sample.id for sample in samples] == ["7", "7#2", "8"]
    assert "1 entries of test.json repeat an id" in caplog.text
    assert {(sample.task, sample.split) for sample in samples} == {("conversation", "test")}
    turns = [turn for sample in samples for turn in turns_of(sample)]
    assert [turn.id for turn in turns] == ["7/turn-1", "7/turn-2", "7#2", "8/turn-1", "8/turn-2"]
    assert [len(turn.images) for turn in turns] == [1, 1, 1, 1, 2]


def test_pictures_lie_below_a_folder_and_never_outside(tmp_path: Path) -> None:
    general.conversations(tmp_path)
    samples = list(ConversationsReader(images="pictures").read(tmp_path, "test"))
    assert samples[0].images == ("pictures/a.png",)
    turns = [{"from": "human", "value": "<image>\n?"}, {"from": "gpt", "value": "yes"}]
    (tmp_path / "test.json").write_text(json.dumps([{"id": "1", "image": "../x.png", "conversations": turns}]))
    with pytest.raises(DataError, match="not a path below"):
        list(ConversationsReader().read(tmp_path, "test"))


def test_an_entry_without_answer_and_wrong_options_are_refused(tmp_path: Path) -> None:
    (tmp_path / "test.json").write_text(json.dumps([{"id": "1", "conversations": [{"from": "human", "value": "?"}]}]))
    with pytest.raises(DataError, match=r"test\.json, entry 1.*no answer"):
        list(ConversationsReader().read(tmp_path, "test"))
    with pytest.raises(ConfigError, match="file name for each split"):
        ConversationsReader(files={"test": ""})
