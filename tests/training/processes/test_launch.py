"""What accelerate launch asks for becomes the recipe's sharding, or is refused before anything is loaded."""

from __future__ import annotations

import importlib.util
import os

import pytest

from geoprose.core.errors import ConfigError, ResourceError
from geoprose.training.processes.launch import apart_from_accelerate, resolve_launch
from geoprose.training.specs.recipe import RecipeSpec
from tests.fixtures.training import stage

ASKED = "ACCELERATE_USE_DEEPSPEED"


def _recipe(**changes: object) -> RecipeSpec:
    return RecipeSpec.model_validate({"name": "tiny", "system": "demo", "stages": [stage()], **changes})


@pytest.fixture(autouse=True)
def nothing_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("ACCELERATE_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("WORLD_SIZE", "1")


def test_plain_processes_leave_the_recipe_alone() -> None:
    for sharding in ("none", "full", "zero3"):
        assert resolve_launch(_recipe(sharding=sharding)).sharding == sharding


def test_a_launch_with_deepspeed_is_zero3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ASKED, "true")
    monkeypatch.setenv("ACCELERATE_DEEPSPEED_ZERO_STAGE", "3")
    asked = resolve_launch(_recipe())
    assert asked == _recipe(sharding="zero3")
    assert resolve_launch(asked) == asked
    with pytest.raises(ConfigError, match=r"DeepSpeed.*sharding: full"):
        resolve_launch(_recipe(sharding="full"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("ZERO_STAGE", "2"), ("OFFLOAD_OPTIMIZER_DEVICE", "cpu"), ("OFFLOAD_PARAM_DEVICE", "nvme"), ("CONFIG_FILE", "x")],
)
def test_other_settings_of_deepspeed_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(ASKED, "true")
    monkeypatch.setenv(f"ACCELERATE_DEEPSPEED_{name}", value)
    with pytest.raises(ConfigError, match=rf"{name.lower()}: {value} is not taken.*zero3\.yaml"):
        resolve_launch(_recipe())


def test_fsdp_of_accelerate_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(ConfigError, match=r"fsdp2\.yaml.*sharding: full"):
        resolve_launch(_recipe())


def test_without_deepspeed_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "deepspeed" else found(name))
    assert resolve_launch(_recipe(sharding="zero3")).sharding == "zero3", "one process needs no DeepSpeed"
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ResourceError, match=r"geoprose\[deepspeed\].*sharding: full"):
        resolve_launch(_recipe(sharding="zero3"))


def test_rounded_weights_are_not_cut() -> None:
    with pytest.raises(ValueError, match="use sharding: none"):
        _recipe(sharding="zero3", stages=[stage(lora={"quantise": "nf4"})])


def test_accelerate_does_not_see_what_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ASKED, "true")
    with apart_from_accelerate():
        assert ASKED not in os.environ
    assert os.environ[ASKED] == "true"
