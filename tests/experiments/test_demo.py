"""The whole demo on random weights and a synthetic globe: every phase, and a second run that keeps what is done."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from geoprose.data.world.build import build_world
from geoprose.experiments import demo
from tests.fixtures.make_scene import make_scene
from tests.fixtures.world import small_settings, write_globe, write_land_cover

if TYPE_CHECKING:
    from pathlib import Path

TINY = """
extends: {parent}
scale: tiny
features: {{cache: run, encoder_precision: fp32}}
num_threads: 1
stage_changes:
{align}  instruct: {{steps: 2, precision: fp32, log_every: 1, schedule: {{warmup_steps: 1}}}}
"""
ALIGN = "  align: {steps: 2, batch_size: 2, precision: fp32, log_every: 1, schedule: {warmup_steps: 1}}\n"


@pytest.fixture
def tiny_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a synthetic globe, tiny recipes and a generated scene in the place of the assets."""
    write_globe(tmp_path / "globe.png")
    write_land_cover(tmp_path / "cover.tif")
    sentinel = make_scene(tmp_path / "sentinel.tif", bands=3, dtype="uint8").path

    def world(world_dir: Path) -> Path:
        if not (world_dir / "card.json").is_file():
            build_world(world_dir, small_settings(), tmp_path / "globe.png", tmp_path / "cover.tif")
        return world_dir

    names = {}
    for parent in ("demo", "demo-blind", "demo-no-lexical"):
        names[parent] = tmp_path / f"tiny-{parent}.yaml"
        align = "" if parent == "demo-no-lexical" else ALIGN
        names[parent].write_text(TINY.format(parent=parent, align=align))
    monkeypatch.setattr(demo, "_fetch_assets", lambda: None)
    monkeypatch.setattr(demo, "_world", world)
    monkeypatch.setattr(demo, "RECIPE", str(names["demo"]))
    monkeypatch.setattr(demo, "BLIND_RECIPE", str(names["demo-blind"]))
    monkeypatch.setattr(demo, "ABLATIONS", {"no-lexical": str(names["demo-no-lexical"])})
    monkeypatch.setattr("geoprose.assets.resolve.resolve", lambda name: sentinel)
    return tmp_path / "run"


def test_the_demo_runs_from_data_to_answers_and_again(tiny_demo: Path) -> None:
    announced: list[str] = []
    first = demo.run_demo(tiny_demo, full=True, on_phase=announced.append)
    assert announced == ["assets", "data", "train", "train_blind", "evaluate", "ablations", "ask"]
    result: dict[str, Any] = json.loads((tiny_demo / "result.json").read_text())
    assert result == first.result
    assert {"shuffled", "majority", "majority_per_question", "colour", "probe", "blind"} == set(result["baselines"])
    for block in (
        result["overall"],
        *result["by_type"].values(),
        *(b["overall"] for b in result["baselines"].values()),
    ):
        assert {"n", "accuracy", "ci95"} <= set(block)
    assert set(result["seconds"]) == set(announced)
    assert 0 < result["peak_memory_gib"] < 6
    assert {"overall", "by_type", "shuffled"} == set(result["ablations"]["no-lexical"])
    assert first.report_path.is_file()
    assert len(first.answers) == 6
    for answer, path in first.answers:
        assert json.loads(path.read_text())["features"], answer.question
    predictions = (tiny_demo / "predictions.jsonl").read_bytes()
    weights = (tiny_demo / "train" / "system" / "model.safetensors").stat().st_mtime_ns
    demo.run_demo(tiny_demo)
    assert (tiny_demo / "predictions.jsonl").read_bytes() == predictions
    assert (tiny_demo / "train" / "system" / "model.safetensors").stat().st_mtime_ns == weights
