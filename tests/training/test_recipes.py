"""Recipes are found, merged and validated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from geoprose.core.errors import ConfigError, PresetError
from geoprose.training.recipes import list_recipes, load_recipe
from tests.fixtures.training import stage, two_stages, write_recipe

if TYPE_CHECKING:
    from pathlib import Path


def test_misspelt_key_names_the_close_one(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, [stage(leaning_rate=1.0)])
    with pytest.raises(ConfigError, match=r"leaning_rate.*learning_rate"):
        load_recipe(path)


def test_unknown_recipe_lists_close_names() -> None:
    with pytest.raises(PresetError, match="demo"):
        load_recipe("demmo")


def test_overrides_are_validated(tmp_path: Path) -> None:
    path = write_recipe(tmp_path)
    assert load_recipe(path, ["stages.0.steps=3", "seed=7"]).stages[0].steps == 3
    with pytest.raises(ConfigError, match="steps"):
        load_recipe(path, ["stages.0.steps=none"])
    with pytest.raises(ConfigError, match="index"):
        load_recipe(path, ["stages.4.steps=3"])


def test_extends_states_only_the_difference(tmp_path: Path) -> None:
    write_recipe(tmp_path, two_stages())
    child = tmp_path / "child.yaml"
    child.write_text(yaml.safe_dump({"extends": "recipe.yaml", "seed": 5, "stage_changes": {"instruct": {"steps": 9}}}))
    recipe = load_recipe(child)
    assert (recipe.name, recipe.seed, [s.steps for s in recipe.stages]) == ("child", 5, [4, 9])
    child.write_text(yaml.safe_dump({"extends": "recipe.yaml", "stage_changes": {"align": None}}))
    assert [s.name for s in load_recipe(child).stages] == ["instruct"]


def test_faulty_inheritance_is_explained(tmp_path: Path) -> None:
    path = write_recipe(tmp_path)
    child = tmp_path / "child.yaml"
    child.write_text(yaml.safe_dump({"extends": "recipe.yaml", "stage_changes": {"alinn": {"steps": 9}}}))
    with pytest.raises(ConfigError, match="align"):
        load_recipe(child)
    path.write_text(yaml.safe_dump({"extends": "recipe.yaml"}))
    with pytest.raises(ConfigError, match="circle"):
        load_recipe(path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"trainable": []}, "nothing trains"),
        ({"data": []}, "data source"),
        ({"losses": [{"type": "lm"}, {"type": "lm"}]}, "once"),
        ({"losses": [{"type": "lmm"}]}, "lexical_alignment"),
        ({"steps": 0}, "steps"),
    ],
)
def test_wrong_stages_are_refused(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_recipe(write_recipe(tmp_path, [stage(**changes)]))


def test_stage_names_differ(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="names must differ"):
        load_recipe(write_recipe(tmp_path, [stage(), stage()]))


@pytest.mark.parametrize("name", list_recipes())
def test_every_shipped_recipe_is_valid(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.description
    assert recipe.source


def test_seeds_follow_the_recipe(tmp_path: Path) -> None:
    recipe = load_recipe(write_recipe(tmp_path, [stage(), stage(name="b", seed=4)], seed=3))
    assert [recipe.stage_seed(0), recipe.stage_seed(1)] == [3683, 4]
    assert recipe.model_copy(update={"seed": 0}).stage_seed(0) == 683
    assert recipe.content_hash() == load_recipe(tmp_path / "recipe.yaml").content_hash()
