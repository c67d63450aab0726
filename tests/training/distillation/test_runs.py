"""Distillation recipes from data to a saved student."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from geoprose.core.errors import ConfigError
from geoprose.training.run import run_recipe
from tests.fixtures.stopping import stopped_behind
from tests.fixtures.training import stage, write_recipe, write_tiny_data

if TYPE_CHECKING:
    from pathlib import Path

TEACHER = {"system": "demo", "scale": "tiny", "seed": 1}


def _run(folder: Path, teacher: dict[str, Any] | None = None, **changes: Any) -> list[dict[str, Any]]:
    folder.mkdir(exist_ok=True)
    write_tiny_data(folder, 3)
    values = stage(
        **{"packing": "shared_prefix", "steps": 2, "trainable": ["connector.*", "language_model.*"], **changes}
    )
    recipe = write_recipe(folder, [values], teacher=teacher or TEACHER)
    run_recipe(recipe, out_dir=folder / "run", data_dir=folder)
    return [json.loads(line) for line in (folder / "run/stages/01-align/log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    "changes",
    [
        {"losses": [{"type": "lm"}, {"type": "kd_offline"}, {"type": "feature_alignment"}], "join_rows": True},
        {"losses": [{"type": "gkd", "lm_weight": 1.0}], "packing": "none", "accumulation": 2},
        {"losses": [{"type": "reverse_kl_on_policy", "max_new_tokens": 4, "lm_weight": 1.0}], "accumulation": 2},
        {
            "losses": [{"type": "gkd", "lmbda": 0.5, "max_new_tokens": 3, "samples": 2}, {"type": "lm"}],
            "join_rows": True,
        },
        {
            "losses": [{"type": "kd_offline", "divergence": "reverse_kl", "temperature": 2.0}],
            "trainable": ["vision_encoder.*", "connector.*"],
        },
    ],
)
def test_every_loss_trains_in_every_packing(tmp_path: Path, changes: dict[str, Any]) -> None:
    first, last = _run(tmp_path, **changes)
    assert set(first["parts"]) == {loss["type"] for loss in changes["losses"]}
    sampled = "minillm" in last["parts"]  # a surrogate, whose value means nothing
    assert sampled or all(value > 0 for value in last["parts"].values())
    assert first["grad_norm"] > 0


def test_a_teacher_with_other_eyes_reads_features_of_its_own(tmp_path: Path) -> None:
    (line, _) = _run(tmp_path, {**TEACHER, "system": "rsicd-small"}, losses=[{"type": "kd_offline"}])
    assert line["parts"]["kd_offline"] > 0
    assert len(list((tmp_path / "run" / "features").iterdir())) == 2


def test_a_loss_without_a_teacher_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, [stage(losses=[{"type": "kd_offline"}])])
    with pytest.raises(ConfigError, match="a teacher is needed by kd_offline"):
        run_recipe(recipe, out_dir=tmp_path / "run", data_dir=tmp_path)
    assert not (tmp_path / "run").exists()


SAMPLING = [{"type": "minillm", "max_new_tokens": 4, "samples": 2}, {"type": "feature_alignment"}]


@pytest.mark.slow
def test_a_stopped_run_draws_the_same_answers_when_it_goes_on(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    options: dict[str, Any] = {"losses": SAMPLING, "steps": 4, "save_every": 2}
    _run(tmp_path / "whole", **options)
    with stopped_behind(3):
        _run(tmp_path / "cut", **options)
    cut = tmp_path / "cut"
    run_recipe(cut / "recipe.yaml", out_dir=cut / "run", resume=True, data_dir=cut)
    one, two = (load_file(tmp_path / name / "run/system/model.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.slow
@pytest.mark.parametrize(
    "loss",
    [
        {"type": "kd_offline"},
        {"type": "gkd"},
        {"type": "reverse_kl_on_policy", "max_new_tokens": 6},
        {"type": "feature_alignment", "final_weight": 0.5},
    ],
)
def test_every_divergence_falls_in_forty_steps(tmp_path: Path, loss: dict[str, Any]) -> None:
    lines = _run(tmp_path, losses=[loss], steps=40, learning_rate=3e-3)
    values = [line["parts"][loss["type"]] for line in lines]
    assert sum(values[-5:]) < 0.7 * sum(values[:5])
