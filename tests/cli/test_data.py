"""``geoprose data`` through the real program: output, exit codes, streams."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.fixtures.datasets import clean_dataset, make_sample, write_dataset


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from geoprose.cli.main import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    root = write_dataset(
        tmp_path_factory.mktemp("faulty"),
        [make_sample(0, answer="{<1><2><3><4>|<400>}"), make_sample(1, answer=""), make_sample(2)],
    )
    (root / "images" / "train_2.png").unlink()
    return root


def test_a_clean_data_set_exits_with_0(tmp_path) -> None:
    done = run("data", "check", clean_dataset(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert "8 records (4 train, 4 test), 8 images" in done.stdout
    assert "nothing found" in done.stdout


def test_findings_are_a_table_and_exit_with_4(faulty) -> None:
    done = run("data", "check", faulty)
    assert done.returncode == 4
    for kind in ("missing_image", "empty_answer", "angle_over_360"):
        assert kind in done.stdout
    assert "train.jsonl, id train-2: images/train_2.png" in done.stdout


def test_json_is_one_object(faulty) -> None:
    done = run("data", "check", faulty / "train.jsonl", "--json", "--examples", 1)
    assert done.returncode == 4
    report = json.loads(done.stdout)
    assert {fault["kind"]: fault["count"] for fault in report["faults"]} == {
        "missing_image": 1,
        "empty_answer": 1,
        "angle_over_360": 1,
    }
    assert report["is_clean"] is False


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["data", "check", "absent.jsonl"], 4, "does not exist"),
        (["data", "check", "FAULTY", "--codec", "geochatt"], 2, "Did you mean"),
        (["data", "check"], 2, "Missing argument"),
        (["data", "build", "world"], 2, "Missing option"),
    ],
)
def test_what_cannot_be_done_is_said_on_stderr(faulty, arguments, code, message) -> None:
    done = run(*[faulty if argument == "FAULTY" else argument for argument in arguments])
    assert done.returncode == code
    assert message in done.stderr
    assert done.stdout == ""


def test_the_public_data_sets_are_listed_with_their_tasks() -> None:
    done = run("data", "sets", "DIOR-RSVG")
    assert done.returncode == 0
    assert "JPEGImages/*.jpg" in done.stdout
    assert "tasks: dior-rsvg" in done.stdout
    listed = json.loads(run("data", "sets", "--json").stdout)["data_sets"]
    by_reader = {entry["reader"]: entry for entry in listed}
    assert by_reader["rs5m"] == {**by_reader["rs5m"], "splits": ["train"], "tasks": []}
    assert run("data", "sets", "no such set").returncode == 2


def test_published_preferences_become_records(tmp_path) -> None:
    (tmp_path / "mmpr.jsonl").write_text(
        json.dumps({"image": "a.png", "question": "Any water?", "chosen": "yes", "rejected": "no"}) + "\n"
    )
    done = run("data", "build", "preferences", "--source", tmp_path / "mmpr.jsonl", "--out", tmp_path / "train.jsonl")
    assert done.returncode == 0
    assert done.stdout.startswith("1 records")
    assert json.loads((tmp_path / "train.jsonl").read_text())["meta"] == {"rejected": "no"}


def test_pairs_are_built_in_one_command(tmp_path, monkeypatch) -> None:
    from typer.testing import CliRunner

    from geoprose.cli.main import app
    from geoprose.evaluation.prefer import build

    asked = []

    def built(*arguments):
        asked.append(arguments)
        return {"preferences": {"questions": {"pair": 3, "tie": 2, "all_bad": 1}}}

    monkeypatch.setattr(build, "build_preferences", built)
    words = ["data", "prefer", "demo", "--task", "world", "--data", "d", "--out", "p.jsonl", "--answers", "4"]
    done = CliRunner().invoke(app, [*words, "--temperature", "0.7", "--limit", "9"])
    assert done.exit_code == 0
    assert done.stdout.startswith("3 pairs; 2 questions whose answers are equally good, 1 without a good answer")
    (system, task, data, out, options) = asked[0]
    assert (system, task, str(data), str(out)) == ("demo", "world", "d", "p.jsonl")
    assert (options.sampling.num_answers, options.sampling.temperature, options.limit) == (4, 0.7, 9)
