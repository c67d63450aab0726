"""Batches of preferences: pairs, judged answers, shared prefixes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from geoprose.core.errors import ConfigError, DataError
from geoprose.training.feeds.preference import MISMATCH
from geoprose.training.forward import Forward
from geoprose.training.preference.log_probs import policy_log_probs
from tests.fixtures.preference_batches import stage_batches, system_of
from tests.fixtures.preferences import make_judged, make_pairs
from tests.fixtures.training import make_samples

if TYPE_CHECKING:
    from pathlib import Path

DPO = [{"type": "dpo"}]


def _by_key(batches: Any) -> dict[int, float]:
    model = system_of(batches).model.eval()
    found: dict[int, float] = {}
    with torch.no_grad():
        for number in range(len(batches)):
            batch = batches[number]
            sums = policy_log_probs(Forward(model, batch)).sums_A
            found.update(zip(batch["answer_keys"].tolist(), sums.tolist(), strict=True))
    return found


def test_a_pair_is_two_rows(tmp_path: Path) -> None:
    batch = stage_batches(tmp_path, make_pairs(tmp_path, 2), DPO, steps=1)[0]
    assert batch["pairs"].tolist() == [[0, 1], [2, 3]]
    assert batch["answer_is_good"].tolist() == [True, False, True, False]
    assert len(batch["input_ids"]) == len(set(batch["answer_keys"].tolist())) == 4
    assert len(batch["pixel_values"]) == 4
    for row, answers in enumerate(batch["answer_of"].tolist()):
        assert set(answers) == {-1, row}
    assert torch.equal(batch["answer_of"] >= 0, batch["next_ids"] != -100)
    assert MISMATCH not in batch


def test_sharing_and_joining_change_no_log_probability(tmp_path: Path) -> None:
    """Padded, packed and joined rows hold the same answers; a unit of an image holds the picture once."""
    samples = make_pairs(tmp_path, 2)
    plain = stage_batches(tmp_path, samples, DPO, batch_size=len(samples), steps=1)
    system = system_of(plain)
    shared = stage_batches(tmp_path, samples, DPO, system, packing="shared_prefix", steps=1)
    joined = stage_batches(tmp_path, samples, DPO, system, packing="shared_prefix", join_rows=True, steps=1)
    packed = shared[0]
    assert len(packed["pixel_values"]) == 2
    assert int(packed["num_tokens"]) < int(plain[0]["num_tokens"]) / 2
    expected = _by_key(plain)
    for other in (shared, joined):
        found = _by_key(other)
        assert found.keys() == expected.keys()
        # Float64; RMSNorm and RoPE of transformers still compute in float32, hence not 1e-12.
        assert all(found[key] == pytest.approx(expected[key], rel=1e-6) for key in expected)


def test_a_leak_between_answers_would_be_seen(tmp_path: Path) -> None:
    """Negative control: with a plain causal mask the rejected answer reads the preferred one."""
    batches = stage_batches(tmp_path, make_pairs(tmp_path, 1), DPO, packing="shared_prefix", steps=1)
    model, batch = system_of(batches).model.eval(), batches[0]
    with torch.no_grad():
        right = policy_log_probs(Forward(model, batch)).sums_A
        batch["attention_mask"] = torch.ones_like(batch["input_ids"])
        wrong = policy_log_probs(Forward(model, batch)).sums_A
    assert float((right - wrong)[0].abs()) < 1e-6  # the first branch comes first
    assert float((right - wrong)[1:].abs().max()) > 1e-3


def test_a_full_row_tears_no_pair(tmp_path: Path) -> None:
    samples = make_pairs(tmp_path, 1)
    whole = stage_batches(tmp_path, samples, DPO, packing="shared_prefix", steps=1, batch_size=1)[0]
    limit = int(whole["num_tokens"]) - 1
    cut = stage_batches(tmp_path, samples, DPO, packing="shared_prefix", steps=1, batch_size=1, max_row_tokens=limit)[0]
    assert cut["pairs"].tolist() == whole["pairs"].tolist()[:-1]
    assert int(cut["num_tokens"]) <= limit


def test_judged_answers_stand_alone_and_bring_another_prompts_answer(tmp_path: Path) -> None:
    samples = make_judged(tmp_path, 2)
    batch = stage_batches(tmp_path, samples, [{"type": "kto"}], steps=1)[0]
    assert batch["pairs"].shape == (0, 2)
    assert len(batch["answer_is_good"]) == 2
    mismatch = batch[MISMATCH]
    assert len(mismatch["answer_keys"]) == 2
    assert not set(mismatch["answer_keys"].tolist()) & set(batch["answer_keys"].tolist())


def test_what_cannot_be_fed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="shared_prefix"):
        stage_batches(tmp_path, make_pairs(tmp_path, 1), DPO, packing="length_grouped")
    with pytest.raises(DataError, match="holds no preference"):
        stage_batches(tmp_path, make_samples(tmp_path, 1), DPO)[0]


def test_lengths_need_no_picture(tmp_path: Path) -> None:
    batches = stage_batches(tmp_path, make_pairs(tmp_path, 1), DPO, packing="shared_prefix", steps=1, batch_size=1)
    unit = batches.mixture.unit(0, 0)
    (tmp_path / unit.images[0]).unlink()
    assert batches.feed.length(unit) > 0
