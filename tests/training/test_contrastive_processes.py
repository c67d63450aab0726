"""Two processes with half of the pairs each train what one process trains on all of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from safetensors.torch import load_file

from geoprose.training.run import run_recipe
from tests.fixtures.pairs import pair_stage, write_pairs
from tests.fixtures.processes import launch
from tests.fixtures.training import write_recipe

if TYPE_CHECKING:
    from pathlib import Path

SAME_TEXT = {"same_text": "positive"}
QFORMER = "extends: blip2-opt\nsummary: without dropout\nconnector: {dropout: 0.0}\n"
STAGES: dict[str, dict[str, Any]] = {
    "clip-vit-l-14": {"losses": [{"type": "clip", **SAME_TEXT, "chunk_pairs": 3}], "learning_rate": 1e-3},
    "siglip-so400m": {"losses": [{"type": "siglip"}], "learning_rate": 1e-4},
    "qformer.yaml": {
        "losses": [{"type": name, "shared_size": 16} for name in ("itc", "itm", "itg")],
        "trainable": ["connector.*", "!connector.projection.*"],
        "learning_rate": 1e-4,
    },
}


def _losses(run: Path) -> list[float]:
    (path,) = run.glob("stages/*/log.jsonl")
    return [json.loads(line)["loss"] for line in path.read_text().splitlines()]


def _difference(run: Path, other: Path) -> float:
    ours, theirs = (load_file(folder / "system" / "model.safetensors") for folder in (run, other))
    return max(float((ours[name] - theirs[name]).abs().max()) for name in ours)


@pytest.mark.slow
@pytest.mark.parametrize("system", STAGES)
def test_two_processes_with_half_of_the_pairs_each(tmp_path: Path, system: str) -> None:
    write_pairs(tmp_path)
    (tmp_path / "qformer.yaml").write_text(QFORMER)
    name = str(tmp_path / system) if system.endswith(".yaml") else system
    (tmp_path / "halves").mkdir()
    whole = write_recipe(tmp_path, [pair_stage(**STAGES[system])], system=name)
    halves = write_recipe(tmp_path / "halves", [pair_stage(**STAGES[system], batch_size=4)], system=name)
    run_recipe(whole, out_dir=tmp_path / "one", data_dir=tmp_path)
    done = launch(2, "geoprose.cli", "train", str(halves), "--out", str(tmp_path / "two"), "--data", str(tmp_path))
    assert done.returncode == 0, done.stderr[-3000:]
    assert _losses(tmp_path / "two") == pytest.approx(_losses(tmp_path / "one"), rel=1e-4)
    # AdamW moves every weight by about its rate a step, however small the gradient: float32 sums of another order show.
    rate = STAGES[system]["learning_rate"]
    assert _difference(tmp_path / "two", tmp_path / "one") < 0.2 * rate
    run_recipe(halves, out_dir=tmp_path / "control", data_dir=tmp_path)  # one process that sees half of the pairs
    assert _difference(tmp_path / "control", tmp_path / "one") > rate
