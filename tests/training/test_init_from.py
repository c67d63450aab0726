"""A stage starts from what another run left, exactly, or says what does not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file, save_file

from geoprose.core.errors import ConfigError
from geoprose.systems.build import build_system
from geoprose.training.init_from import find_weights, start_from, weights_hash
from geoprose.training.run import run_recipe
from tests.fixtures.training import stage, write_recipe, write_tiny_data

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_tiny_data(tmp_path_factory.mktemp("first"), 2)
    recipe = write_recipe(folder, [stage(packing="shared_prefix", steps=2)], seed=5)
    run_recipe(recipe, out_dir=folder / "run", data_dir=folder)
    return folder


@pytest.mark.parametrize("inside", ["run", "run/system", "run/stages/01-align"])
def test_every_kind_of_folder_gives_its_weights(first: Path, inside: str) -> None:
    model = build_system("demo", scale="tiny", seed=9).model
    assert start_from(model, str(first / inside)) > 0
    saved = load_file(first / "run" / "system" / "model.safetensors")
    own = model.state_dict()
    names = [name for name in saved if name.startswith("model.connector.") or "stages" not in inside]
    assert len(names) > 1
    assert all(torch.equal(own[name], saved[name]) for name in names)
    other = "model.language_model.layers.0.mlp.up_proj.weight"
    assert torch.equal(own[other], saved[other]) is ("stages" not in inside), "a stage gives what it trained"


def test_a_later_run_goes_on_from_an_earlier_one(first: Path, tmp_path: Path) -> None:
    """One step at a rate of almost zero: the end is the start."""
    values = stage(packing="shared_prefix", steps=1, learning_rate=1e-30, init_from=str(first / "run"))
    recipe = write_recipe(tmp_path, [values], seed=8)
    result = run_recipe(recipe, out_dir=tmp_path / "run", data_dir=first)
    ours, theirs = (load_file(run / "system" / "model.safetensors") for run in (tmp_path / "run", first / "run"))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert result.record["data_hashes"]["init_from of align"] == weights_hash(str(first / "run"))


def test_what_does_not_fit_is_named_and_changes_nothing(first: Path, tmp_path: Path) -> None:
    model = build_system("demo", scale="tiny", seed=9).model
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    (tmp_path / "done").mkdir()
    save_file({"model.connector.strange": torch.ones(1)}, tmp_path / "done" / "weights.safetensors")
    with pytest.raises(ConfigError, match=r"model\.connector\.strange"):
        start_from(model, str(tmp_path))
    name = next(name for name in before if name.startswith("model.connector"))
    save_file({name: torch.ones(1, 2, 3)}, tmp_path / "done" / "weights.safetensors")
    with pytest.raises(ConfigError, match=name.replace(".", r"\.")):
        start_from(model, str(tmp_path))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_folder_without_weights_is_refused_before_anything_is_written(first: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, [stage(init_from=str(tmp_path / "nowhere"))])
    with pytest.raises(ConfigError, match="nowhere"):
        run_recipe(recipe, out_dir=tmp_path / "run", data_dir=first)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match="finished stage"):
        find_weights(str(tmp_path))
