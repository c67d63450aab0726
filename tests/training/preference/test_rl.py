"""GRPO and RLOO stages through TRL: they run from a recipe, leave a clean system, and learn a toy task."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from geoprose.core.errors import ConfigError, DataError, TrainingError
from geoprose.systems.load import load_system
from geoprose.training.preference import rl
from geoprose.training.preference.rewards import REWARDS
from geoprose.training.processes import distributed
from geoprose.training.processes.signals import Interrupted, StopRequest
from geoprose.training.run import plan_recipe, run_recipe
from tests.fixtures.training import stage, write_recipe, write_tiny_data

if TYPE_CHECKING:
    from pathlib import Path

# transformers 5.23 renamed gradient checkpointing; trl 1.16 still uses the old names.
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.* is deprecated:FutureWarning")

ANSWER = {"type": "answer"}


def _run(folder: Path, policy: dict[str, Any], resume: bool = False, **changes: Any) -> Any:
    values = {
        "policy": {"num_generations": 2, "max_new_tokens": 3, "rewards": [ANSWER], **policy},
        "batch_size": 2,
        "trainable": ["language_model.*"],
        **changes,
    }
    return run_recipe(write_recipe(folder, [stage(**values)]), out_dir=folder / "run", data_dir=folder, resume=resume)


def _log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "run/stages/01-align/log.jsonl").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize(
    "policy",
    [
        {"method": "grpo"},
        {"method": "rloo", "rewards": [ANSWER, {"type": "length", "free_words": 1, "max_words": 3, "weight": 0.5}]},
        {"method": "grpo", "kl_weight": 0.1, "loss": "dr_grpo"},
        {"method": "rloo", "kl_weight": 0.1},
    ],
)
@pytest.mark.parametrize("lora", [None, {"rank": 2, "targets": ["q_proj"]}], ids=["full", "lora"])
def test_two_steps(tmp_path: Path, policy: dict[str, Any], lora: dict[str, Any] | None) -> None:
    write_tiny_data(tmp_path, 2)
    result = _run(tmp_path, policy, steps=2, lora=lora)
    lines = _log(tmp_path)
    assert [line["step"] for line in lines] == [1, 2]
    assert all("rewards/answer/mean" in line["parts"] for line in lines)
    assert ("kl" in lines[0]["parts"]) == (policy.get("kl_weight", 0) > 0)
    assert result.record["stages"]["align"]["steps"] == 2
    config = json.loads((result.system_dir / "config.json").read_text())
    assert "use_cache" not in config
    assert not any("lora" in name for name, _ in load_system(result.system_dir).model.named_parameters())
    assert not (tmp_path / "run/stages/01-align/trl").exists() or not list((tmp_path / "run").rglob("*.pt"))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["grpo", "rloo"])
def test_the_reward_rises(tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty steps of a toy task: the more small letters, the better; at a rate of nearly zero nothing is learnt.

    The random model says bytes, a tenth of them small letters: a reward that its samples hardly ever earn, such as
    one letter of the alphabet, would teach nothing to a working learner either.
    """
    monkeypatch.setattr(REWARDS, "get", lambda name: lambda text, *others: sum(map(str.islower, text)) / 6)
    policy = {"method": method, "num_generations": 8, "max_new_tokens": 6}
    gains = {}
    for rate in (1e-2, 1e-9):
        folder = write_tiny_data(tmp_path / str(rate), 2)
        _run(folder, policy, steps=20, learning_rate=rate)
        rewards = [line["parts"]["reward"] for line in _log(folder)]
        gains[rate] = sum(rewards[-5:]) / sum(rewards[:5])
    assert gains[1e-2] > 3 > 2 > gains[1e-9]


@pytest.mark.slow
def test_a_stopped_stage_starts_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiny_data(tmp_path, 2)
    with monkeypatch.context() as patch:
        patch.setattr(StopRequest, "__bool__", lambda self: (tmp_path / "run/stages/01-align/log.jsonl").exists())
        patch.setattr(StopRequest, "error", lambda self, how: Interrupted(how))
        with pytest.raises(Interrupted, match="--resume"):
            _run(tmp_path, {}, steps=3)
    _run(tmp_path, {}, steps=3, resume=True)
    assert [line["step"] for line in _log(tmp_path)] == [1, 2, 3]


def test_a_loss_that_is_no_number_stops_the_stage() -> None:
    watcher = rl._Watcher(None, type("Stage", (), {"name": "rl", "log_every": 1, "steps": 2}), None, None)  # type: ignore[arg-type]
    state = type("State", (), {"global_step": 1})
    with pytest.raises(TrainingError, match="step 1 is not finite"):
        watcher.on_log(None, state, None, {"reward": 0.0, "loss": float("nan")})


def test_what_cannot_run_is_refused_before_anything_is_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiny_data(tmp_path, 1)
    with pytest.raises(DataError, match="no reference box"):
        _run(tmp_path, {"rewards": [{"type": "box_iou"}]}, steps=1)
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    with pytest.raises(ConfigError, match="one process"):
        rl.train_policy(
            type("S", (), {"recipe": type("R", (), {"stages": [type("T", (), {"policy": 1, "name": "rl"})]})}), 0, None  # type: ignore[arg-type]
        )  # fmt: skip


def test_losses_beside_a_policy_are_refused(tmp_path: Path) -> None:
    write_tiny_data(tmp_path, 1)
    with pytest.raises(ConfigError, match="leave losses out"):
        _run(tmp_path, {}, losses=[{"type": "dpo"}])


def test_a_plan_names_the_method(tmp_path: Path) -> None:
    write_tiny_data(tmp_path, 1)
    values = stage(policy={"method": "rloo", "rewards": [ANSWER]})
    (planned,) = plan_recipe(write_recipe(tmp_path, [values]), data_dir=tmp_path)["stages"]
    assert planned["losses"] == ["rloo"]
