from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from geoprose.assets import specs
from geoprose.cli.doctor import register
from tests.fixtures.packages import asset_entry, write_table

DATA = b"weights"


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    (tmp_path / "w.bin").write_bytes(DATA)
    source = {"type": "local", "path": str(tmp_path / "w.bin")}
    table = write_table(tmp_path / "t.yaml", {"thing": asset_entry({"w.bin": DATA}, [source])})
    monkeypatch.setattr(specs, "TABLE_PATH", table)
    monkeypatch.delenv("GEOPROSE_ASSET_TABLE", raising=False)
    monkeypatch.setenv("GEOPROSE_CACHE", str(tmp_path / "cache"))
    application = typer.Typer()
    application.callback()(lambda: None)
    register(application)
    return application


def test_missing_then_fetched_then_damaged(app: typer.Typer, tmp_path: Path) -> None:
    runner = CliRunner()
    missing = runner.invoke(app, ["doctor"])
    assert missing.exit_code == 3
    assert "missing" in missing.stdout
    assert "doctor --fetch" in missing.stdout
    assert not (tmp_path / "cache").exists()

    fetched = runner.invoke(app, ["doctor", "--fetch", "--json"])
    assert fetched.exit_code == 0, fetched.output
    report = json.loads(fetched.stdout)
    assert report["complete"] is True
    assert report["assets"][0]["status"] == "present"
    assert report["assets"][0]["licence"] == "CC0-1.0"
    assert {"python", "torch", "GDAL", "torchvision", "processor cores", "free disk"} <= {
        fact["name"] for fact in report["environment"]
    }
    assert "thing: fetched" in fetched.stderr

    Path(report["assets"][0]["path"]).write_bytes(b"broken!")
    damaged = runner.invoke(app, ["doctor", "--json"])
    assert damaged.exit_code == 3
    assert json.loads(damaged.stdout)["assets"][0]["status"] == "mismatched"


def test_failed_fetch_is_reported_and_exits_three(app: typer.Typer, tmp_path: Path) -> None:
    (tmp_path / "w.bin").unlink()
    result = CliRunner().invoke(app, ["doctor", "--fetch"])
    assert result.exit_code == 3
    assert "could not be had" in result.stderr
