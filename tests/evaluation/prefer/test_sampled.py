"""The file of sampled answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import DataError
from geoprose.evaluation.prefer import sampled
from geoprose.evaluation.prefer.sampled import SampledAnswers
from geoprose.inference.generate import Request
from geoprose.inference.sample import Sampling

if TYPE_CHECKING:
    from pathlib import Path


def test_seeds_depend_on_question_and_seed_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampled, "sample_answers", lambda system, request, sampling, seed: [str(seed)])
    requests = {name: Request((), name) for name in ("a", "b")}

    def seeds(path: str, only: dict[str, Request], seed: int) -> dict[str, list[str]]:
        file = SampledAnswers(tmp_path / path, {})
        file.fill(None, only, Sampling(1), seed)  # type: ignore[arg-type]
        return file.answers

    both = seeds("1.jsonl", requests, 0)
    assert both["b"] == seeds("2.jsonl", {"b": requests["b"]}, 0)["b"]
    assert both["a"] != both["b"]
    assert both["b"] != seeds("3.jsonl", requests, 1)["b"]
    assert SampledAnswers(tmp_path / "1.jsonl", {}).answers == both


def test_damage_before_the_last_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text('{"plan": {}}\n{"id": \n{"id": "b", "answers": []}\n')
    with pytest.raises(DataError, match="line 2"):
        SampledAnswers(path, {})
