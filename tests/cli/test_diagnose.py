"""`geoprose diagnose` from the command line to the files, on a tiny system that really answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch
import yaml
from typer.testing import CliRunner

from geoprose.cli.diagnose import _named_values
from geoprose.cli.main import app
from geoprose.core.errors import ConfigError
from geoprose.evaluation.tasks import QuestionType
from geoprose.systems.save import save_system
from tests.fixtures.oracle import oracle_task, write_oracle_data
from tests.fixtures.systems import tiny_system

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("diagnose")
    data = write_oracle_data(folder / "data", 4)
    system = save_system(tiny_system(dtype=torch.float32), folder / "system")
    task = oracle_task(types={"colour": QuestionType(metric="exact")})
    path = folder / "task.yaml"
    path.write_text(yaml.safe_dump(task.model_dump(mode="json", exclude_defaults=True)))
    return [str(system), "--task", str(path), "--data", str(data)]


def test_the_diagnostics_are_listed() -> None:
    result = CliRunner().invoke(app, ["diagnose"])
    assert result.exit_code == 0
    assert len(result.output.strip().splitlines()) == 9
    assert "Visual reliance" in result.output


def test_a_diagnostic_writes_its_files_and_prints_its_tables(arguments: list[str], tmp_path: Path) -> None:
    options = ["--out", str(tmp_path), "--limit", "3", "--set", "tests=[swapped, blank]"]
    result = CliRunner().invoke(app, ["diagnose", "reliance", *arguments, *options])
    assert result.exit_code == 0, result.output
    assert "lost when pictures are swapped" in result.output
    assert "p_holm" in result.output
    written = json.loads((tmp_path / "result.json").read_text())
    assert written["diagnostic"] == "reliance"
    assert written["options"]["tests"] == ["swapped", "blank"]
    assert written["limit"] == 3
    assert written["system"]["name"] == "demo"
    assert written["overall"]["n"] == 3
    assert "Visual reliance" in (tmp_path / "report.html").read_text()


def test_json_and_options_of_a_file(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "options.yaml").write_text("factors: [1, 2]\nhas_small: false\ngsd_m: 0.5\n")
    options = ["--out", str(tmp_path / "out"), "--limit", "2", "--options", str(tmp_path / "options.yaml"), "--json"]
    result = CliRunner().invoke(app, ["diagnose", "gsd", *arguments, *options])
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout.strip().splitlines()[-1])
    assert printed == json.loads((tmp_path / "out" / "result.json").read_text())
    series = printed["by_type"]["gsd"]["tables"]["curve"]["series"]
    assert len(series) == 3


def test_systems_and_domains_are_spelt_with_names() -> None:
    assert _named_values(["a=runs/a"], ["b=rsicd-scene:data/b"]) == {
        "systems": {"a": "runs/a"},
        "domains": {"b": {"task": "rsicd-scene", "data": "data/b"}},
    }
    with pytest.raises(ConfigError, match="give NAME=DIR"):
        _named_values(["runs/a"], [])
    with pytest.raises(ConfigError, match="give NAME=TASK:DATA"):
        _named_values([], ["a=rsicd-scene"])
