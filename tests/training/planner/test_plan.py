"""Plans of shipped recipes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from geoprose.core.errors import ProcessingError
from geoprose.training.planner.gpus import parse_cluster
from geoprose.training.planner.plan import PlanOptions, plan_stages
from geoprose.training.planner.workload import Workload, row_shape
from geoprose.training.recipes import list_recipes, load_recipe
from tests.fixtures.training import stage, write_recipe

if TYPE_CHECKING:
    from pathlib import Path


def test_a_plan_of_the_tiny_recipe_adds_up() -> None:
    recipe = load_recipe("tiny")
    align, instruct = plan_stages(recipe, PlanOptions(parse_cluster("1xA100-40G"), Workload(32, 8, samples=100)))
    assert align.fits
    assert instruct.fits
    assert set(align.facts.trained_by_part) == {"connector"}
    assert set(instruct.facts.trained_by_part) == {"connector", "language_model"}
    assert align.cache_bytes == 4 * 2 * align.facts.feature_numbers * 2  # steps x batch pictures, float16
    assert instruct.memory.gradients * 2 == instruct.memory.optimiser
    values = instruct.as_dict()
    assert values["memory_bytes"]["total"] == instruct.memory.total
    assert values["accumulation"] * values["micro_batch"] == recipe.stages[1].batch_size * 2


def test_a_frozen_language_model_costs_its_inputs_gradients_only(tmp_path: Path) -> None:
    options = PlanOptions(parse_cluster("1xA100-40G"))
    everything = ["connector.*", "language_model.*", "lm_head.*"]
    stages = [stage(), stage(name="all", trainable=everything), stage(name="head", trainable=["lm_head.*"])]
    path = write_recipe(tmp_path, stages, system="llava-1.5")
    frozen, trained, head = [plan.facts.pieces["language_model"] for plan in plan_stages(load_recipe(path), options)]
    assert frozen.forward == trained.forward == head.forward
    assert head.backward == 0
    weights = 2 * (4 * 32 * 32 + 3 * 32 * 64)  # two layers of width 32, without norms
    assert trained.backward - frozen.backward == 2 * weights * (16 + 128)


def test_packed_rows_hold_many_samples() -> None:
    packed = load_recipe("internvl-2.5").stages[0]
    row = row_shape(packed, Workload(text_tokens=128, answer_tokens=64), visual_tokens=256)
    assert (row.tokens, row.pictures) == (16384, 16384 / 384)
    assert row.answers == round(64 * row.samples)
    pairs = load_recipe("dpo-demo").stages[0]
    assert row_shape(pairs, Workload(10, 5), 25).tokens == 2 * 35


def test_systems_without_a_rule_are_refused(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, [stage(trainable=["*"])], system="skysense", scale="full")
    with pytest.raises(ProcessingError, match="kind factorised_encoder, which no loss trains"):
        plan_stages(load_recipe(path), PlanOptions(parse_cluster("1xH100")))


@pytest.mark.parametrize(
    ("system", "changes", "trained"),
    [
        # T5-base, and 64 rows that the vocabulary is padded by.
        ("em-vlm4ad", {"trainable": ["language_model.*"]}, 222_903_552 + 64 * 768),
        ("changeclip", {"trainable": ["head.*"], "losses": [{"type": "segmentation"}]}, 21_174_722),
    ],
)
def test_published_sizes_of_other_kinds_have_a_plan(
    tmp_path: Path, system: str, changes: dict[str, Any], trained: int
) -> None:
    recipe = load_recipe(write_recipe(tmp_path, [stage(**changes)], system=system, scale="full"))
    (plan,) = plan_stages(recipe, PlanOptions(parse_cluster("1xA100-40G")))
    assert plan.facts.trained == trained
    assert plan.fits
    assert plan.memory.gradients == 4 * trained
    assert plan.as_dict()["row_flops"] > 10**11


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in list_recipes() if load_recipe(name).launch])
def test_every_recipe_with_a_launch_command_has_a_plan(name: str) -> None:
    recipe = load_recipe(name)
    if recipe.system.startswith("runs/"):
        pytest.skip("starts from a run of this machine")
    for plan in plan_stages(recipe, PlanOptions(parse_cluster("64xH100"))):
        assert plan.duration.hours > 0
        assert plan.memory.total > 0
