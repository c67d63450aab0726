"""What the stages of a run share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file

from geoprose.core.errors import ConfigError
from geoprose.systems.save import save_system
from geoprose.training import session as sessions
from geoprose.training.pictures import images
from geoprose.training.pictures.features import feature_key
from geoprose.training.recipes import load_recipe
from geoprose.training.run import run_recipe
from geoprose.training.session import starting_system
from tests.fixtures.systems import tiny_system
from tests.fixtures.training import stage, write_recipe, write_tiny_data

if TYPE_CHECKING:
    from pathlib import Path


def test_a_run_may_start_from_a_saved_system(tmp_path: Path) -> None:
    saved = tiny_system("demo", dtype=torch.float32)
    with torch.no_grad():
        saved.model.lm_head.weight.fill_(0.25)
    folder = save_system(saved, tmp_path / "system")
    recipe = load_recipe(write_recipe(tmp_path, system=str(folder), scale="full"))
    assert torch.equal(starting_system(recipe).model.lm_head.weight, saved.model.lm_head.weight)
    with pytest.raises(ConfigError, match="saved system"):
        starting_system(load_recipe(write_recipe(tmp_path, system=str(folder))))


def test_features_may_be_computed_in_every_step(tmp_path: Path) -> None:
    write_tiny_data(tmp_path, 3)
    ends = []
    for cache in ("run", "none"):
        features = {"cache": cache, "dtype": "fp32", "encoder_precision": "fp32"}
        recipe = write_recipe(tmp_path, [stage(steps=2)], features=features)
        run_recipe(recipe, out_dir=tmp_path / cache, data_dir=tmp_path)
        ends.append(load_file(tmp_path / cache / "stages" / "01-align" / "done" / "weights.safetensors"))
    assert not (tmp_path / "none" / "features").exists()
    for name, tensor in ends[0].items():
        torch.testing.assert_close(ends[1][name], tensor, rtol=1e-4, atol=1e-6)


def test_a_teacher_needs_the_cache(tmp_path: Path) -> None:
    losses = [{"type": "kd_offline"}]
    with pytest.raises(ConfigError, match="cache"):
        load_recipe(
            write_recipe(tmp_path, [stage(losses=losses)], teacher={"system": "demo"}, features={"cache": "none"})
        )


@pytest.mark.parametrize("loss", [{"type": "lexical_alignment"}, {"type": "itc"}])
def test_pictures_of_several_tiles_are_refused_before_data_is_read(tmp_path: Path, loss: dict[str, str]) -> None:
    """There is no data at all, so a loss that were let through would end in another error."""
    recipe = write_recipe(tmp_path, [stage(losses=[loss])], system="internvl-2.5")
    with pytest.raises(ConfigError, match=r"dynamic_tiles of internvl-2\.5 may cut a picture into several tiles"):
        run_recipe(recipe, out_dir=tmp_path / "run", data_dir=tmp_path)
    assert not (tmp_path / "run").exists()


def test_losses_of_another_kind_are_refused_for_a_saved_system_too(tmp_path: Path) -> None:
    folder = save_system(tiny_system("demo", dtype=torch.float32), tmp_path / "system")
    recipe = write_recipe(tmp_path, [stage(losses=[{"type": "clip"}])], system=str(folder), scale="full")
    with pytest.raises(ConfigError, match="kind dual_encoder; demo is of kind composite"):
        run_recipe(recipe, out_dir=tmp_path / "run", data_dir=tmp_path)


def test_an_encoder_is_hashed_once_a_stage_and_the_teachers_once_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = []

    def key(system: Any, spec: Any) -> str:
        hashed.append(id(system))
        return feature_key(system, spec)

    monkeypatch.setattr(sessions, "feature_key", key)
    write_tiny_data(tmp_path, 2)
    follow: dict[str, Any] = {"losses": ({"type": "kd_offline"},), "steps": 1}
    stages = [
        stage(**follow),
        stage(name="see", trainable=["vision_encoder.*"], steps=1),
        stage(name="again", **follow),
    ]
    stages = json.loads(json.dumps(stages))  # YAML without references
    recipe = write_recipe(tmp_path, stages, teacher={"system": "demo", "scale": "tiny", "seed": 1})
    run_recipe(recipe, out_dir=tmp_path / "run", data_dir=tmp_path)
    assert sorted(hashed.count(system) for system in set(hashed)) == [1, 2]
    # The teacher's, the student's, and the student's after the stage that trained its encoder.
    assert len(list((tmp_path / "run" / "features").iterdir())) == 3


def test_a_run_with_kept_features_decodes_no_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEOPROSE_CACHE", str(tmp_path / "cache"))
    write_tiny_data(tmp_path, 2)
    recipe = write_recipe(tmp_path, [stage(steps=1)], features={"cache": "user", "shard_images": 4, "batch_size": 2})
    first = run_recipe(recipe, out_dir=tmp_path / "first", data_dir=tmp_path)

    def refuse(path: Path) -> None:
        raise AssertionError(f"{path} was decoded again")

    monkeypatch.setattr(images, "read_picture", refuse)
    second = run_recipe(recipe, out_dir=tmp_path / "second", data_dir=tmp_path)
    losses = [run.record["stages"]["align"]["last_loss"] for run in (first, second)]
    assert losses[0] == losses[1]
