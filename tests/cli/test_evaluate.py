"""`geoprose evaluate` through the command line's parser: one task, a suite, wrong words; and what progress says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch
import yaml
from typer.testing import CliRunner

from geoprose.cli import progress
from geoprose.cli.main import app
from geoprose.core.errors import GeoproseError
from geoprose.systems.save import save_system
from tests.fixtures.questions import colour_task, write_colours
from tests.fixtures.systems import tiny_system

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluate")
    write_colours(folder / "data" / "colours", count=3)
    save_system(tiny_system(dtype=torch.float32), folder / "system")
    task = colour_task(baselines=("majority",)).model_dump(mode="json", exclude_defaults=True)
    (folder / "colours.yaml").write_text(yaml.safe_dump(task))
    entries = [{"task": str(folder / "colours.yaml"), "data": "colours"}, {"task": "world", "data": "nowhere"}]
    suite = {"name": "few", "title": "Few", "description": "d", "entries": entries}
    (folder / "few.yaml").write_text(yaml.safe_dump(suite))
    return folder


def test_a_task_in_shards_and_a_suite(place: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    task = ["evaluate", str(place / "system"), "--task", str(place / "colours.yaml"), "--data"]
    task += [str(place / "data" / "colours"), "--out", str(tmp_path / "task")]
    first = runner.invoke(app, [*task, "--shard", "1/2"])
    assert first.exit_code == 0, first.output
    assert "shard 1-of-2 is done; waiting for shard 2 of 2" in first.output
    second = runner.invoke(app, [*task, "--shard", "2/2"])
    assert "report: " in second.output
    suite = ["evaluate", str(place / "system"), "--suite", str(place / "few.yaml"), "--data", str(place / "data")]
    done = runner.invoke(app, [*suite, "--out", str(tmp_path / "suite")])
    assert done.exit_code == 0, done.output
    assert "skipped world: " in done.output
    assert (tmp_path / "suite" / "report.html").is_file()
    printed = runner.invoke(app, [*suite, "--out", str(tmp_path / "suite"), "--rescore", "--json"])
    assert json.loads(printed.stdout)["tasks"]["colours"]["overall"]["n"] == 6


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--task", "world", "--suite", "samples"], "not both"),
        (["--shard", "3/2"], "--shard"),
        (["--suite", "samlpes"], "Did you mean"),
    ],
)
def test_wrong_words_are_refused(words: list[str], message: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["evaluate", "demo", "--data", str(tmp_path), "--out", str(tmp_path), *words])
    assert isinstance(done.exception, GeoproseError)
    assert message in str(done.exception)


def test_progress_says_now_and_then_how_long_the_rest_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.progress_lines("questions") as report:
        report("system", 100, 400)  # a run that is gone on with: 100 were there before
        now[0] = 10.0
        report("system", 150, 400)
        now[0] = 40.0
        report("system", 200, 400)
        report("system", 400, 400)
    lines = capsys.readouterr().err.strip().split("\n")
    assert lines == ["system: 200 of 400 questions, about 80 s left", "system: 400 questions"]
