"""The engine's guards."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from geoprose.core.errors import TrainingError
from geoprose.data.neutral import write_samples
from geoprose.training.losses.lm import LmLoss
from geoprose.training.run import run_recipe
from tests.fixtures.training import make_samples, stage, write_recipe, write_tiny_data

if TYPE_CHECKING:
    from pathlib import Path

    import torch


def _nan_at(monkeypatch: pytest.MonkeyPatch, calls: set[int]) -> None:
    original = LmLoss.loss_sum
    count = [0]

    def loss_sum(self: LmLoss, forward: Any) -> torch.Tensor:
        count[0] += 1
        loss = original(self, forward)
        return loss * float("nan") if count[0] in calls else loss

    monkeypatch.setattr(LmLoss, "loss_sum", loss_sum)


def _log(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line) for line in (folder / "run" / "stages" / "01-align" / "log.jsonl").read_text().splitlines()
    ]


def _run(folder: Path, **changes: Any) -> Any:
    write_tiny_data(folder, 3)
    recipe = write_recipe(folder, [stage(packing="shared_prefix", **changes)])
    return run_recipe(recipe, out_dir=folder / "run", data_dir=folder)


def test_a_bad_step_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _nan_at(monkeypatch, {2, 3})
    record = _run(tmp_path, steps=4).record
    assert record["stages"]["align"]["skipped_steps"] == 2
    lines = _log(tmp_path)
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert [line["loss"] is None for line in lines] == [False, True, True, False]


def test_three_bad_steps_stop_the_run_and_keep_the_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _nan_at(monkeypatch, {3, 4, 5})
    with pytest.raises(TrainingError, match=r"3 steps in a row.*checkpoint-2"):
        _run(tmp_path, steps=6, save_every=2)
    kept = tmp_path / "run" / "stages" / "01-align" / "checkpoints" / "checkpoint-2"
    assert (kept / "manifest.json").is_file()


@pytest.mark.parametrize(
    "changes",
    [
        {"packing": "length_grouped", "precision": "bf16", "gradient_checkpointing": True},
        {"trainable": ["vision_encoder.*", "connector.*"], "packing": "none"},
        {"losses": [{"type": "lm"}, {"type": "lexical_alignment", "weight": 0.1, "readout_weight": 1.0}]},
        {"losses": [{"type": "lexical_alignment", "supervision": "captions"}], "end_token_share": 0.5},
        {"max_row_tokens": 60, "end_token_share": 0.25, "data": [{"path": "train.jsonl", "draw": "uniform"}]},
    ],
)
def test_every_mode_trains(tmp_path: Path, changes: dict[str, Any]) -> None:
    write_tiny_data(tmp_path, 3)
    spec = {
        **stage(packing="shared_prefix", steps=2, lora={"rank": 2, "targets": ["q_proj"], "init": "normal"}),
        **changes,
    }
    result = run_recipe(write_recipe(tmp_path, [spec]), out_dir=tmp_path / "run", data_dir=tmp_path)
    (line, last) = _log(tmp_path)
    assert line["grad_norm"] > 0
    assert set(line["parts"]) == {loss.label for loss in result.recipe.stages[0].losses}
    assert last["loss"] == pytest.approx(result.record["stages"]["align"]["last_loss"])


def test_a_visit_may_leave_out_the_sample_that_brings_the_cells(tmp_path: Path) -> None:
    """The first sample of each picture alone is labelled; a visit takes one of three to five."""
    samples = make_samples(tmp_path, 3)
    kept = [replace(sample, meta=sample.meta if sample.id.endswith("-0") else {}) for sample in samples]
    write_samples(kept, tmp_path / "train.jsonl")
    data = [{"path": "train.jsonl", "answers_per_image": 1, "draw": "uniform"}]
    spec = stage(losses=[{"type": "lexical_alignment"}], data=data, packing="shared_prefix")
    result = run_recipe(write_recipe(tmp_path, [spec]), out_dir=tmp_path / "run", data_dir=tmp_path)
    assert result.record["stages"]["align"]["last_loss"] > 0
