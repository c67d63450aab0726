"""Two runs on the same samples: hand-made judgements with known differences, and what makes runs incomparable."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from geoprose.cli.main import app
from geoprose.core.errors import TaskError
from geoprose.evaluation.compare import compare_many, compare_runs
from geoprose.evaluation.compare_table import comparison_table, runs_table
from geoprose.evaluation.outcomes import read_outcomes
from geoprose.evaluation.predictions import Prediction, write_predictions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

RIGHT_FIRST = (1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
RIGHT_SECOND = (0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0)


def write_run(folder: Path, scores: Mapping[str, Sequence[float]], images: str = "", **facts: Any) -> Path:
    """Write what a scored run leaves: two questions a picture, each type on pictures of its own."""
    folder.mkdir(parents=True)
    rows, judgements = [], []
    for task, values in scores.items():
        for number, score in enumerate(values):
            name, image = f"{task}-{number}", f"{task}-{number // 2}.png"
            rows.append(
                Prediction(name, task, "system", (image,), (images + image,), "Which?", f"said {score}", "x", 0)
            )
            judgements.append(
                {
                    "id": name,
                    "task": task,
                    "cluster": image,
                    "score": score,
                    "is_parsed": True,
                    "label": "",
                    "truth": "",
                }
            )
    write_predictions(folder / "predictions.jsonl", rows)
    (folder / "judgements.jsonl").write_text("".join(json.dumps(row) + "\n" for row in judgements))
    values = [score for group in scores.values() for score in group]
    block = {"n": len(values), "metric": "accuracy", "score": sum(values) / len(values), "accuracy": 0, "ci95": [0, 1]}
    result = {
        "task": "t",
        "task_sha256": "a",
        "system": {"name": "s", "sha256": folder.name},
        "overall": block,
        "overall_types": list(scores),
        "by_type": {name: block | {"n": len(group)} for name, group in scores.items()},
        "versions": {"torch": "1"},
    }
    (folder / "result.json").write_text(json.dumps(result | facts))
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    first = write_run(tmp_path / "first", {"a": RIGHT_FIRST, "b": [0.25, 0.5]})
    second = write_run(tmp_path / "second", {"a": RIGHT_SECOND, "b": [0.75, 0.5]})
    return first, second


def test_hand_computed_differences_flips_and_p_values(runs: tuple[Path, Path], tmp_path: Path) -> None:
    comparison = compare_runs(*runs, tmp_path / "out")
    block = comparison["by_type"]["a"]
    assert (block["first"], block["second"]) == (3 / 12, 8 / 12)
    assert block["difference"] == pytest.approx(5 / 12)
    assert (block["gained"], block["lost"]) == (6, 1)
    assert block["p_mcnemar"] == pytest.approx(2 * (1 + 7) / 2**7)
    # Pictures differ by -1, +1, +2, +2, +1, 0. Of 32 sign patterns, all alike and one unit turned reach 5: 2 * (1 + 3).
    assert block["p_permutation"] == pytest.approx(8 / 32)
    assert block["ci95"][0] <= block["difference"] <= block["ci95"][1]
    other = comparison["by_type"]["b"]
    assert other["p_mcnemar"] is None  # scores between 0 and 1
    assert (other["gained"], other["lost"], other["difference"]) == (1, 0, 0.25)
    assert block["p_permutation_holm"] == pytest.approx(16 / 32)
    assert block["p_mcnemar_holm"] == block["p_mcnemar"]  # the only one of its kind
    assert comparison["overall"]["n"] == 14
    assert comparison["warnings"] == []
    written = [json.loads(line) for line in (tmp_path / "out" / "flips.jsonl").read_text().splitlines()]
    assert len(written) == 8
    assert written[0] | {"id": "a-0", "first": "said 1", "second": "said 0", "prompt": "Which?"} == written[0]
    assert json.loads((tmp_path / "out" / "comparison.json").read_text()) == comparison


def test_the_other_way_round_is_the_same_with_the_sign_turned(runs: tuple[Path, Path]) -> None:
    ahead, back = compare_runs(*runs), compare_runs(*runs[::-1])
    for name, block in ahead["by_type"].items():
        turned = back["by_type"][name]
        assert turned["difference"] == pytest.approx(-block["difference"])
        assert (turned["ci95"] is None) == (block["ci95"] is None) == (block["clusters"] < 2)
        if block["ci95"] is not None:
            assert turned["ci95"] == pytest.approx([-block["ci95"][1], -block["ci95"][0]])
        assert turned["p_permutation"] == block["p_permutation"]
        assert (turned["gained"], turned["lost"]) == (block["lost"], block["gained"])


def test_a_run_does_not_differ_from_itself(runs: tuple[Path, Path]) -> None:
    block = compare_runs(runs[0], runs[0])["overall"]
    assert (block["difference"], block["ci95"], block["p_permutation"]) == (0, [0, 0], 1.0)


def test_what_makes_runs_incomparable_is_said(runs: tuple[Path, Path], tmp_path: Path) -> None:
    facts = {"task_sha256": "b", "versions": {"torch": "2"}}
    other = write_run(tmp_path / "other", {"a": [*RIGHT_SECOND[:11]], "c": [1]}, images="new ", **facts)
    warnings = "\n".join(compare_runs(runs[0], other)["warnings"])
    assert "3 samples are only in" in warnings  # a-11, b-0, b-1
    assert "1 samples are only in" in warnings  # c-0
    assert "differ in task_sha256: a and b" in warnings
    assert "differ in versions: torch 1 and 2" in warnings
    assert "11 samples were shown other pictures (first: a-0)" in warnings


def test_runs_without_a_common_sample_or_without_scores_are_refused(runs: tuple[Path, Path], tmp_path: Path) -> None:
    alone = write_run(tmp_path / "alone", {"z": [1, 0]})
    with pytest.raises(TaskError, match="no sample in common"):
        compare_runs(runs[0], alone)
    with pytest.raises(TaskError, match="a run that was scored"):
        compare_runs(runs[0], tmp_path / "nowhere")
    (alone / "judgements.jsonl").write_text('{"id": "z-0"}\n')
    with pytest.raises(TaskError, match="line 1 is no judgement"):
        read_outcomes(alone)
    (alone / "judgements.jsonl").unlink()
    with pytest.raises(TaskError, match="--rescore"):
        compare_runs(runs[0], alone)


def test_tables_show_the_figures(runs: tuple[Path, Path], tmp_path: Path) -> None:
    text = comparison_table(compare_runs(*runs))
    row = next(line.split() for line in text.split("\n") if line.strip().startswith("a "))
    assert row[1:5] == ["12", "25.0", "66.7", "+41.7"]
    third = write_run(tmp_path / "third", {"a": RIGHT_SECOND}, task_sha256="b")
    many = compare_many([*runs, third])
    table = runs_table(many)
    assert table.count("s (") == 3
    assert "warning: " in table


def test_the_command_line_compares_two_or_tables_more(runs: tuple[Path, Path], tmp_path: Path) -> None:
    names = [str(folder) for folder in runs]
    runner = CliRunner()
    done = runner.invoke(app, ["compare", *names, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "flips.jsonl" in done.output
    assert json.loads(runner.invoke(app, ["compare", *names, "--json"]).output)["n"] == 14
    assert "overall" in runner.invoke(app, ["compare", *names, names[0]]).output
    assert runner.invoke(app, ["compare", names[0]]).exit_code != 0
