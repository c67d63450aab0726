"""Recipes over pairs of a picture and a text, from data to a saved system."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
from PIL import Image

from geoprose.core.errors import ConfigError
from geoprose.systems.load import load_system
from geoprose.training.run import RunResult, run_recipe
from tests.fixtures.pairs import COLOURS, pair_stage, write_pairs
from tests.fixtures.stopping import stopped_behind
from tests.fixtures.training import write_recipe

if TYPE_CHECKING:
    from pathlib import Path

QFORMER = [{"type": kind, "shared_size": 16} for kind in ("itc", "itm", "itg")]
QFORMER_TRAINS = ["connector.*", "!connector.projection.*"]


def run(folder: Path, system: str, *stages: dict[str, Any], overrides: tuple[str, ...] = ()) -> RunResult:
    write_pairs(folder)
    recipe = write_recipe(folder, list(stages), system=system)
    return run_recipe(recipe, overrides, out_dir=folder / "run", data_dir=folder)


def losses_of(result: RunResult, name: str) -> list[float]:
    (log,) = result.out_dir.rglob("log.jsonl")
    return [json.loads(line)["parts"][name] for line in log.read_text().splitlines()]


def test_a_dual_encoder_finds_all_eight_pictures_after_fifty_steps(tmp_path: Path) -> None:
    result = run(
        tmp_path, "clip-vit-l-14", pair_stage(losses=[{"type": "clip"}], steps=50, log_every=10, learning_rate=1e-3)
    )
    system = load_system(result.system_dir)
    pictures = [Image.open(tmp_path / f"images/{number}.png") for number in range(len(COLOURS))]
    with torch.no_grad():
        scores = system.model(**system.processor(images=pictures, text=list(COLOURS))).logits_per_image
    assert scores.argmax(1).tolist() == list(range(8))
    assert scores.argmax(0).tolist() == list(range(8))


def test_a_frozen_vision_tower_is_read_from_the_cache(tmp_path: Path) -> None:
    frozen = pair_stage(
        losses=[{"type": "clip"}], trainable=["text.*", "vision_projection.*", "text_projection.*", "logit_scale"]
    )
    result = run(tmp_path, "vit-bert", frozen)
    assert list((tmp_path / "run" / "features").rglob("*.safetensors"))
    assert losses_of(result, "clip")[-1] < losses_of(result, "clip")[0]


def test_the_sigmoid_loss_runs_in_chunks(tmp_path: Path) -> None:
    loss = {"type": "siglip", "chunk_pairs": 3}
    values = losses_of(run(tmp_path, "siglip-so400m", pair_stage(losses=[loss], learning_rate=1e-4)), "siglip")
    assert values[-1] < values[0]


def test_the_three_losses_of_a_qformer_run_and_their_words_are_thrown_away(tmp_path: Path) -> None:
    result = run(tmp_path, "blip2-opt", pair_stage(losses=QFORMER, trainable=QFORMER_TRAINS))
    system = load_system(result.system_dir)
    assert system.model.model.connector.words is None
    assert set(result.record["stages"]["contrast"]["trains"]) == {"connector"}


@pytest.mark.slow
def test_a_qformer_stage_resumes_to_the_same_weights(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    stage = pair_stage(losses=QFORMER, trainable=QFORMER_TRAINS, steps=4, batch_size=4, save_every=2)
    whole = run(tmp_path / "whole", "blip2-opt", stage)
    with stopped_behind(3):
        run(tmp_path / "cut", "blip2-opt", stage)
    cut = run_recipe(
        tmp_path / "cut" / "recipe.yaml", out_dir=tmp_path / "cut" / "run", resume=True, data_dir=tmp_path / "cut"
    )
    one, two = (load_file(result.system_dir / "model.safetensors") for result in (whole, cut))
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("system", "stage", "drop"),
    [
        ("clip-vit-l-14", pair_stage(losses=[{"type": "clip"}], learning_rate=1e-3), 0.5),
        ("siglip-so400m", pair_stage(losses=[{"type": "siglip"}], learning_rate=3e-4), 0.5),
        ("blip2-opt", pair_stage(losses=QFORMER, trainable=QFORMER_TRAINS, learning_rate=1e-3), 0.9),
    ],
)
def test_every_loss_falls_in_thirty_steps(tmp_path: Path, system: str, stage: dict[str, Any], drop: float) -> None:
    result = run(tmp_path, system, {**stage, "steps": 30})
    for loss in stage["losses"]:
        values = losses_of(result, loss["type"])
        assert sum(values[-5:]) < drop * sum(values[:5]), loss["type"]


@pytest.mark.parametrize(
    ("system", "changes", "error", "said"),
    [
        ("vit-bert", {"losses": [{"type": "lm"}]}, ConfigError, "loss lm trains systems of kind composite"),
        ("demo", {"losses": [{"type": "clip"}]}, ConfigError, "loss clip trains systems of kind dual_encoder"),
        ("vit-bert", {"losses": [{"type": "clip"}], "accumulation": 2}, ConfigError, "accumulation: 1"),
        ("blip2-opt", {"losses": [{"type": "itc"}, {"type": "lm"}]}, ConfigError, "same kind of batch"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, system: str, changes: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        run(tmp_path, system, pair_stage(**changes))
