"""The reference: computed once, the same as on the fly, read back, refused when it belongs to something else."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch

from geoprose.core.errors import ConfigError, TrainingError
from geoprose.training.forward import Forward
from geoprose.training.preference.log_probs import policy_log_probs
from geoprose.training.preference.reference import FOLDER, reference_log_probs, visited_units
from tests.fixtures.preference_batches import stage_batches, system_of
from tests.fixtures.preferences import make_judged, make_pairs

if TYPE_CHECKING:
    from pathlib import Path

DPO = [{"type": "dpo"}]


@pytest.fixture
def batches(tmp_path: Path) -> Any:
    return stage_batches(tmp_path, make_pairs(tmp_path, 2), DPO, steps=8)


def _on_the_fly(batches: Any, batch: Any) -> torch.Tensor:
    with torch.no_grad():
        return policy_log_probs(Forward(system_of(batches).model.eval(), batch)).sums_A


def test_it_is_what_the_model_says_at_the_start(batches: Any, tmp_path: Path) -> None:
    model = system_of(batches).model.train()
    reference = reference_log_probs(tmp_path, model, batches)
    assert model.training
    for number in range(len(batches)):
        batch = batches[number]
        # Batches are padded otherwise than here: float64, but RMSNorm and RoPE compute in float32.
        torch.testing.assert_close(reference.of(batch["answer_keys"]), _on_the_fly(batches, batch), rtol=1e-6, atol=0)


def test_it_is_read_back(batches: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = system_of(batches).model
    first = reference_log_probs(tmp_path, model, batches)
    monkeypatch.setattr("geoprose.training.preference.reference._compute", None)
    second = reference_log_probs(tmp_path, model, batches)
    keys = batches[0]["answer_keys"]
    assert torch.equal(first.of(keys), second.of(keys))
    assert len(first) == len(second)


def test_other_weights_and_other_data_are_refused(batches: Any, tmp_path: Path) -> None:
    model = system_of(batches).model
    reference_log_probs(tmp_path, model, batches)
    more = stage_batches(tmp_path, make_pairs(tmp_path, 3), DPO, system_of(batches), steps=8)
    with pytest.raises(ConfigError, match="other data than"):
        reference_log_probs(tmp_path, model, more)
    with torch.no_grad():
        next(model.parameters()).add_(1.0)
    with pytest.raises(ConfigError, match="other weights than"):
        reference_log_probs(tmp_path, model, batches)


def test_a_damaged_one_is_named(batches: Any, tmp_path: Path) -> None:
    model = system_of(batches).model
    reference_log_probs(tmp_path, model, batches)
    (tmp_path / FOLDER / "reference.safetensors").write_bytes(b"no tensors")
    with pytest.raises(TrainingError, match="damaged"):
        reference_log_probs(tmp_path, model, batches)
    shutil.rmtree(tmp_path / FOLDER)
    assert len(reference_log_probs(tmp_path, model, batches)) > 0


def test_an_unknown_answer_is_named(batches: Any) -> None:
    reference = reference_log_probs(None, system_of(batches).model, batches)
    with pytest.raises(TrainingError, match="knows no answer 7"):
        reference.of(torch.tensor([7]))


def test_only_what_the_stage_visits_is_asked(tmp_path: Path) -> None:
    samples = make_pairs(tmp_path, 2)
    short = stage_batches(tmp_path, samples, DPO, steps=2, batch_size=1)
    assert len(list(visited_units(short))) == 2 < len(samples)
    long = stage_batches(tmp_path, samples, DPO, system_of(short), steps=50, batch_size=3)
    assert len(list(visited_units(long))) == len(samples)


def test_mismatched_answers_are_in_it(tmp_path: Path) -> None:
    batches = stage_batches(tmp_path, make_judged(tmp_path, 2), [{"type": "kto"}], steps=2)
    reference = reference_log_probs(None, system_of(batches).model, batches)
    assert torch.isfinite(reference.of(batches[0]["mismatch"]["answer_keys"])).all()
