"""Every shipped recipe runs to its end at tiny scale; its launch command takes the published batch."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from geoprose.training.recipes import list_recipes, load_recipe
from geoprose.training.tiny import DATA_FOLDER, STEPS, run_tiny, tiny_overrides

if TYPE_CHECKING:
    from pathlib import Path

FAST = ("llava-1.5", "clip")
OF_THIS_MACHINE = ("demo", "distil-demo", "distil-tiny", "tiny", "rsicd-small")
"""Recipes of the house, which two cores run at their own size."""


def _cases() -> list[object]:
    marks = {name: () if name in FAST else pytest.mark.slow for name in list_recipes()}
    return [pytest.param(name, marks=mark) for name, mark in marks.items()]


# transformers 5.23 renamed gradient checkpointing; trl 1.16 still uses the old name.
@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.* is deprecated:FutureWarning")
@pytest.mark.parametrize("name", _cases())
def test_every_recipe_runs_to_its_end(name: str, tmp_path: Path) -> None:
    result = run_tiny(name, out_dir=tmp_path / "run")
    assert result.record["status"] == "finished"
    stages = load_recipe(name).stages
    assert list(result.record["stages"]) == [stage.name for stage in stages]
    for stage in stages:
        trained = result.record["stages"][stage.name]
        assert trained["steps"] == STEPS
        assert stage.policy is not None or trained["last_loss"] is not None
    assert (result.system_dir / "model.safetensors").is_file()


def test_what_shrinks_a_recipe_leaves_its_schedule_alone() -> None:
    full = load_recipe("llava-1.5-lora")
    tiny = load_recipe("llava-1.5-lora", tiny_overrides(full))
    assert [stage.trainable for stage in tiny.stages] == [stage.trainable for stage in full.stages]
    assert [stage.losses for stage in tiny.stages] == [stage.losses for stage in full.stages]
    assert [stage.data for stage in tiny.stages] == [stage.data for stage in full.stages]
    assert tiny.stages[1].learning_rates == full.stages[1].learning_rates
    assert (tiny.scale, tiny.stages[1].lora.rank) == ("tiny", 2)


def test_own_overrides_win_over_what_shrinks(tmp_path: Path) -> None:
    result = run_tiny("llava-1.5", ["stages.0.steps=1", "stages.1.steps=1"], tmp_path / "run")
    assert [stage["steps"] for stage in result.record["stages"].values()] == [1, 1]
    assert (tmp_path / "run" / DATA_FOLDER / "llava_v1_5_mix665k.jsonl").is_file()


@pytest.mark.parametrize("name", [name for name in list_recipes() if "torchrun" in load_recipe(name).launch])
def test_launch_commands_keep_the_batch(name: str) -> None:
    recipe = load_recipe(name)
    words = shlex.split(recipe.launch)
    assert words[words.index("train") - 1 : words.index("train") + 2] == ["geoprose", "train", name]
    nodes = int(words[words.index("--nnodes") + 1]) if "--nnodes" in words else 1
    processes = nodes * int(words[words.index("--nproc-per-node") + 1])
    overrides = [words[place + 1] for place, word in enumerate(words) if word == "--set"]
    launched = load_recipe(name, overrides)
    for stage, each in zip(recipe.stages, launched.stages, strict=True):
        assert stage.batch_size * stage.accumulation == processes * each.batch_size * each.accumulation, stage.name


@pytest.mark.parametrize("name", [name for name in list_recipes() if not name.startswith(OF_THIS_MACHINE)])
def test_published_recipes_say_where_they_come_from(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.launch
    assert recipe.verified
    assert "arXiv:" in recipe.source or "scripts/" in recipe.source
