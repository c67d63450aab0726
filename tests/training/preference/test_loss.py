"""Stages of preferences from a recipe: they train, margins rise, runs go on exactly, the reward head is kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch

from geoprose.core.errors import ConfigError, GeoproseError
from geoprose.systems.load import load_system
from geoprose.training.preference.reference import FOLDER
from geoprose.training.preference.reward_head import RewardHead
from geoprose.training.run import run_recipe
from geoprose.training.trainer import StageTrainer
from tests.fixtures.preference_batches import first_loss, stage_batches
from tests.fixtures.preferences import make_pairs, write_preferences
from tests.fixtures.training import stage, write_recipe

if TYPE_CHECKING:
    from pathlib import Path

LORA = {"rank": 2, "alpha": 4, "targets": ["q_proj", "v_proj"]}


def _log(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "stages" / "01-align" / "log.jsonl").read_text().splitlines()]


def _run(folder: Path, loss: dict[str, Any], name: str = "run", resume: bool = False, **changes: Any) -> Any:
    recipe = write_recipe(folder, [stage(losses=[loss], **changes)])
    return run_recipe(recipe, out_dir=folder / name, data_dir=folder, resume=resume)


@pytest.mark.parametrize(
    ("loss", "lora"),
    [
        ("dpo", None),
        ("mpo", LORA),
        pytest.param("kto", None, marks=pytest.mark.slow),
        pytest.param("dpo", LORA, marks=pytest.mark.slow),
        pytest.param("mpo", None, marks=pytest.mark.slow),
        ("kto", LORA),
    ],
)
def test_three_steps(tmp_path: Path, loss: str, lora: dict[str, Any] | None) -> None:
    write_preferences(tmp_path, 2, judged=loss == "kto")
    trainable = ["language_model.layers.0.*"] if lora is None else ["connector.*"]
    _run(tmp_path, {"type": loss}, steps=3, lora=lora, trainable=trainable, packing="shared_prefix", accumulation=2)
    lines = _log(tmp_path / "run")
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert all(line["grad_norm"] > 0 for line in lines)
    first = lines[0]["parts"]
    if loss == "dpo":  # policy and reference are one: -log sigma(0)
        assert first["dpo"] == pytest.approx(0.6931472, abs=1e-5)
    if loss == "kto":
        assert first["kto"] == pytest.approx(0.5, abs=1e-5)
    assert (tmp_path / "run" / "stages" / "01-align" / FOLDER / "manifest.json").is_file()


def test_the_margin_rises(tmp_path: Path) -> None:
    write_preferences(tmp_path, 3)
    _run(tmp_path, {"type": "dpo"}, steps=30, packing="shared_prefix", learning_rate=3e-3, log_every=5)
    margins = [line["parts"]["dpo/margin"] for line in _log(tmp_path / "run")]
    accuracies = [line["parts"]["dpo/accuracy"] for line in _log(tmp_path / "run")]
    assert margins[-1] > margins[0] + 0.5
    assert accuracies[-1] > 0.8


class _KilledError(Exception):
    pass


@pytest.mark.parametrize(
    "loss",
    [
        {"type": "mpo"},
        pytest.param({"type": "kto"}, marks=pytest.mark.slow),
        pytest.param({"type": "reward_pairs"}, marks=pytest.mark.slow),
    ],
)
def test_a_run_that_goes_on_is_the_uninterrupted_one(
    tmp_path: Path, loss: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reference, reward shift and head come back with the checkpoint."""
    write_preferences(tmp_path, 2)
    settings: dict[str, Any] = {"steps": 5, "save_every": 2, "lora": LORA, "packing": "shared_prefix"}
    _run(tmp_path, loss, "whole", **settings)
    original = StageTrainer.finish_step

    def killed(self: StageTrainer) -> None:
        original(self)
        if self.state.global_step == 3:
            raise _KilledError

    with monkeypatch.context() as patch:
        patch.setattr(StageTrainer, "finish_step", killed)
        with pytest.raises(_KilledError):
            _run(tmp_path, loss, "killed", **settings)
    _run(tmp_path, loss, "killed", resume=True, **settings)
    whole, resumed = (_log(tmp_path / name) for name in ("whole", "killed"))
    assert [line["loss"] for line in resumed] == [line["loss"] for line in whole]
    ends = [load_system(tmp_path / name / "system").model.state_dict() for name in ("whole", "killed")]
    assert all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0])


def test_the_reward_head_lies_beside_the_system(tmp_path: Path) -> None:
    write_preferences(tmp_path, 2)
    result = _run(tmp_path, {"type": "reward_pairs"}, steps=20, packing="shared_prefix", log_every=5)
    lines = _log(tmp_path / "run")
    assert lines[-1]["parts"]["reward_pairs/accuracy"] > 0.9
    width = load_system(result.system_dir).model.lm_head.in_features
    assert RewardHead.load(result.system_dir).weight.shape == (width,)


def test_single_answers_are_refused_for_pairs(tmp_path: Path) -> None:
    write_preferences(tmp_path, 2, judged=True)
    with pytest.raises(ConfigError, match="use the loss kto"):
        _run(tmp_path, {"type": "dpo"}, steps=1)


def test_a_loss_without_its_reference_says_so(tmp_path: Path) -> None:
    batches = stage_batches(tmp_path, make_pairs(tmp_path, 1), [{"type": "dpo"}], steps=1)
    with pytest.raises(GeoproseError, match="begin"):
        first_loss(batches).reference_of(batches[0])
