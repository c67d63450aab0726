from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from geoprose.cli.main import app
from geoprose.core.errors import ConfigError
from geoprose.experiments.reproduce import processes
from tests.experiments.reproduce.toy import Toy, make_known

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    make_known(monkeypatch)
    monkeypatch.setattr(processes, "usual_processes", lambda options: 1)  # another process does not know the toy


def test_the_verb_prints_table_findings_and_where_the_report_is(tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = CliRunner().invoke(app, ["reproduce", "toy", "--out", str(out), "--seeds", "2", "--set", "gain=0.4"])
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert "accuracy" in lines[0]
    assert any(line.startswith("Is b better? yes") for line in lines)
    assert lines[-1] == f"report: {out / 'report.html'}"
    assert "train b, seed 1 (5 of 5)" in done.stderr


def test_json_is_what_lies_in_the_folder(tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = CliRunner().invoke(app, ["reproduce", "toy", "--out", str(out), "--seeds", "1", "--arm", "a", "--json"])
    assert json.loads(done.stdout) == json.loads((out / "result.json").read_text())
    assert Toy.trained == ["a, seed 0"]


def test_an_unknown_name_is_an_error_of_ours(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["reproduce", "tyo", "--out", str(tmp_path / "run")])
    assert isinstance(done.exception, ConfigError)
    assert "toy" in str(done.exception)


def test_a_setting_that_is_a_path_is_known_again_however_it_is_spelt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    words = ["reproduce", "toy", "--out", str(tmp_path / "run"), "--seeds", "1", "--arm", "a", "--set"]
    spelt = {"outer": ("scores", "./scores", f"{tmp_path}/outer/scores"), "outer/inner": ("../scores",)}
    for folder, places in spelt.items():
        monkeypatch.chdir(tmp_path / folder)
        for place in places:
            done = CliRunner().invoke(app, [*words, f"scores={place}"])
            assert done.exit_code == 0, done.output
    assert Toy.trained == ["a, seed 0"]
    refused = CliRunner().invoke(app, [*words, "scores=scores"])
    assert isinstance(refused.exception, ConfigError)
    assert "scores was '" in str(refused.exception)
