"""A recipe from YAML to a saved system, and every way it can go wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from geoprose.core.errors import ConfigError, DataError, TrainingError
from geoprose.systems.load import load_system
from geoprose.training.checkpoints.lock import run_lock
from geoprose.training.run import plan_recipe, run_recipe
from tests.fixtures.training import stage, two_stages, write_recipe, write_tiny_data


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_tiny_data(tmp_path_factory.mktemp("finished"), 3)
    extra = folder / "images" / "0.png"
    extra.write_bytes(extra.read_bytes()[:30])
    policy = {"max_unreadable_fraction": 0.5}
    recipe = write_recipe(folder, two_stages(steps=2), image_policy=policy, save_dtype="bf16")
    run_recipe(recipe, out_dir=folder / "run", data_dir=folder)
    return folder


def test_the_record_says_how_to_repeat_the_run(finished: Path) -> None:
    record = json.loads((finished / "run" / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["recipe"]["stages"][1]["lora"]["rank"] == 2
    assert record["seeds"] == {"align": 683, "instruct": 948}
    assert len(record["data_hashes"]["train.jsonl"]) == 64
    assert set(record["asset_hashes"]) >= {"vision_encoder", "connector", "language_model"}
    assert record["versions"]["torch"]
    assert record["peak_memory_bytes"] > 1e8
    assert record["wall_seconds"] > 0
    assert record["stages"]["instruct"]["steps"] == 2


def test_unreadable_images_are_in_the_record(finished: Path) -> None:
    record = json.loads((finished / "run" / "run.json").read_text())
    assert [Path(name).name for name in record["unreadable_images"]] == ["0.png"]
    assert record["stages"]["align"]["units"] == 2


def test_the_system_loads_and_answers(finished: Path) -> None:
    import torch

    system = load_system(finished / "run" / "system")
    model = system.model
    assert not any(".lora_" in name for name, _ in model.named_parameters())
    assert model.get_input_embeddings().weight.dtype == torch.bfloat16
    assert "use_cache" not in json.loads((finished / "run" / "system" / "config.json").read_text())


def test_a_finished_run_is_returned_as_it_is(finished: Path) -> None:
    before = (finished / "run" / "run.json").stat().st_mtime_ns
    result = run_recipe(finished / "recipe.yaml", out_dir=finished / "run", resume=True, data_dir=finished)
    assert result.system_dir.is_dir()
    assert (finished / "run" / "run.json").stat().st_mtime_ns == before


def test_a_folder_with_a_run_is_not_overwritten(finished: Path) -> None:
    with pytest.raises(ConfigError, match="--resume"):
        run_recipe(finished / "recipe.yaml", out_dir=finished / "run", data_dir=finished)


def test_resuming_another_recipe_names_the_difference(finished: Path) -> None:
    with pytest.raises(ConfigError, match=r"stages\.1\.steps: 2 became 3"):
        run_recipe(finished / "recipe.yaml", ["stages.1.steps=3"], finished / "run", resume=True, data_dir=finished)


def test_a_second_process_is_refused(finished: Path, tmp_path: Path) -> None:
    with run_lock(tmp_path / "run"), pytest.raises(TrainingError, match="in use"):
        run_recipe(finished / "recipe.yaml", out_dir=tmp_path / "run", data_dir=finished)


def _faulty(**changes: Any) -> list[dict[str, Any]]:
    return [stage(**changes)]


@pytest.mark.parametrize(
    ("stages", "error", "said"),
    [
        (_faulty(batchsize=2), ConfigError, "batch_size"),
        (_faulty(trainable=["conector.*"]), ConfigError, "connector"),
        (_faulty(data=[{"path": "nowhere.jsonl"}]), DataError, "nowhere.jsonl"),
        (_faulty(data=[{"path": "train.jsonl", "tasks": ["flying"]}]), DataError, "tasks"),
    ],
)
def test_a_wrong_recipe_writes_nothing(
    finished: Path, tmp_path: Path, stages: list[dict[str, Any]], error: type[Exception], said: str
) -> None:
    recipe = write_recipe(tmp_path, stages)
    with pytest.raises(error, match=said):
        run_recipe(recipe, out_dir=tmp_path / "run", data_dir=finished)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("system", "packing", "said"),
    [
        ("flamingo", {"packing": "packed", "max_row_tokens": 512}, "packed is refused for flamingo.*differ by"),
        ("flamingo", {"join_rows": True}, "join_rows is refused for flamingo"),
        ("blip2-t5", {"packing": "shared_prefix"}, "answers belong to a decoder"),
        ("instructblip-vicuna", {"packing": "shared_prefix"}, "connector reads the question"),
    ],
)
def test_a_row_that_the_language_model_would_mix_is_refused(
    finished: Path, tmp_path: Path, system: str, packing: dict[str, Any], said: str
) -> None:
    recipe = write_recipe(tmp_path, [stage(**packing)], system=system)
    with pytest.raises(ConfigError, match=said):
        run_recipe(recipe, out_dir=tmp_path / "run", data_dir=finished)
    assert not (tmp_path / "run").exists()


def test_a_packed_run_counts_what_was_too_long(tmp_path: Path) -> None:
    from geoprose.core.types import Message, Sample
    from geoprose.data.neutral import write_samples
    from tests.fixtures.training import make_samples

    long = Sample("long", ("images/0.png",), (Message("user", "<image>\nQ"), Message("assistant", "x" * 2000)))
    write_samples([*make_samples(tmp_path, 2), long], tmp_path / "train.jsonl")
    packed = {"packing": "packed", "max_row_tokens": 700, "steps": 2}
    with pytest.raises(DataError, match=r"1 samples are longer than the 700 tokens.*long \("):
        run_recipe(write_recipe(tmp_path, [stage(**packed)]), out_dir=tmp_path / "error", data_dir=tmp_path)
    recipe = write_recipe(tmp_path, [stage(**packed, too_long="skip")])
    record = run_recipe(recipe, out_dir=tmp_path / "run", data_dir=tmp_path).record["stages"]["align"]
    assert record["too_long"] == {"limit": 700, "skipped": 1, "truncated": 0}
    assert record["units"] == 9


def test_no_data_directory_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--data"):
        run_recipe(write_recipe(tmp_path), out_dir=tmp_path / "run")


def test_too_many_unreadable_images_stop_the_run(tmp_path: Path) -> None:
    write_tiny_data(tmp_path, 3)
    (tmp_path / "images" / "1.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="1 of 3 images"):
        run_recipe(write_recipe(tmp_path), out_dir=tmp_path / "run", data_dir=tmp_path)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "stopped: DataError"


def test_changed_data_cannot_be_resumed(tmp_path: Path) -> None:
    write_tiny_data(tmp_path, 2)
    (tmp_path / "images" / "1.png").write_bytes(b"no picture")
    recipe = write_recipe(tmp_path)
    with pytest.raises(DataError):
        run_recipe(recipe, out_dir=tmp_path / "run", data_dir=tmp_path)
    write_tiny_data(tmp_path, 3)
    with pytest.raises(ConfigError, match=r"data changed.*train\.jsonl"):
        run_recipe(recipe, out_dir=tmp_path / "run", resume=True, data_dir=tmp_path)


def test_a_plan_writes_nothing(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = plan_recipe(finished / "recipe.yaml", data_dir=finished)
    assert [(s["name"], s["steps"]) for s in plan["stages"]] == [("align", 4), ("instruct", 2)]
    assert plan["stages"][1]["trains"].keys() == {"connector", "language_model"}
    assert list(tmp_path.iterdir()) == []


def test_a_blind_run_sees_no_picture(tmp_path: Path) -> None:
    """Two data sets that differ in their pictures only give the same blind system."""
    import torch
    from safetensors.torch import load_file

    from tests.fixtures.training import make_samples

    ends = []
    for number in range(2):
        folder = tmp_path / str(number)
        write_tiny_data(folder, 2)
        if number:
            make_samples(folder, 2, seed=9)  # other pictures, the records stay
        recipe = write_recipe(folder, [stage(packing="shared_prefix", steps=2)], images="blank")
        run_recipe(recipe, out_dir=folder / "run", data_dir=folder)
        ends.append(load_file(folder / "run" / "system" / "model.safetensors"))
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    with pytest.raises(ConfigError, match="blank"):
        run_recipe(recipe, ["stages.0.trainable=[vision_encoder.*]"], folder / "other", data_dir=folder)


def test_a_field_that_came_with_a_later_release_is_no_difference(tmp_path: Path) -> None:
    write_tiny_data(tmp_path, 3)
    recipe = write_recipe(tmp_path, [stage(steps=1)])
    run_recipe(recipe, out_dir=tmp_path / "run", data_dir=tmp_path)
    path = tmp_path / "run" / "run.json"
    record = json.loads(path.read_text())
    del record["recipe"]["stages"][0]["gradient_checkpointing"]
    path.write_text(json.dumps(record | {"recipe_hash": "of an older release"}))
    result = run_recipe(recipe, out_dir=tmp_path / "run", data_dir=tmp_path, resume=True)
    assert result.record["status"] == "finished"
