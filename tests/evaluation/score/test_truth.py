"""Right answers read from a data set: turns and circular orders are questions of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.evaluation.score.truth import truth_from_data
from geoprose.evaluation.tasks import load_task
from tests.fixtures.general import conversations

if TYPE_CHECKING:
    from pathlib import Path


def test_every_turn_of_a_conversation_is_a_question(tmp_path: Path) -> None:
    truth = truth_from_data(load_task("conversations"), conversations(tmp_path))
    answers = {name: row.references[0] for name, row in truth.rows.items()}
    assert answers["7/turn-1"] == "yes"
    assert answers["7/turn-2"] == "blue"
    assert (answers["8/turn-1"], answers["8/turn-2"]) == ("no", "yes")
    assert "8" not in answers
    assert len(answers) == 5
