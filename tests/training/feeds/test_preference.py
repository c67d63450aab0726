"""Batches of preferences: pairs, judged answers, shared prefixes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from geoprose.core.errors import ConfigError, DataError
from geoprose.core.types import Message
from geoprose.data.neutral import write_samples
from geoprose.data.preferences import make_pair
from geoprose.training.feeds.preference import MISMATCH
from geoprose.training.forward import Forward
from geoprose.training.preference.log_probs import policy_log_probs
from geoprose.training.run import run_recipe
from tests.fixtures.preference_batches import stage_batches, system_of
from tests.fixtures.preferences import make_judged, make_pairs
from tests.fixtures.training import make_samples, stage, write_recipe

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.core.types import Sample

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


LONG = "very long answer " * 300
"""More tokens than the tiny demo's context of 4,096."""


def _write_long(folder: Path, samples: list[Sample]) -> None:
    """Make the second record's rejected answer and the third's preferred one too long, and write them."""
    samples[1] = make_pair(samples[1], samples[1].messages[-1].text, LONG)
    samples[2] = make_pair(samples[2], LONG, "no")
    write_samples(samples, folder / "train.jsonl")


@pytest.mark.parametrize("packing", ["none", "shared_prefix"])
@pytest.mark.parametrize("loss", ["dpo", "kto"])
def test_pairs_that_are_too_long_are_left_out_and_counted(tmp_path: Path, loss: str, packing: str) -> None:
    _write_long(tmp_path, make_pairs(tmp_path, 2))
    rows = stage(losses=[{"type": loss}], too_long="skip", packing=packing, steps=1)
    result = run_recipe(write_recipe(tmp_path, [rows]), out_dir=tmp_path / "run", data_dir=tmp_path)
    trained = result.record["stages"]["align"]
    assert trained["too_long"] == {"limit": 4096, "skipped": 2, "truncated": 0}
    assert trained["units"] == (2 if packing == "shared_prefix" else len(make_pairs(tmp_path, 2)) - 2)


def test_pairs_that_are_too_long_are_named_by_default(tmp_path: Path) -> None:
    _write_long(tmp_path, make_pairs(tmp_path, 2))
    recipe = write_recipe(tmp_path, [stage(losses=DPO, steps=1)])
    with pytest.raises(DataError, match=r"2 samples are longer than the 4096 tokens.*0-1 \(\d+ tokens\), 0-2"):
        run_recipe(recipe, out_dir=tmp_path / "run", data_dir=tmp_path)


def test_answers_that_were_judged_whole_are_not_cut(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, [stage(losses=DPO, too_long="truncate")])
    with pytest.raises(ConfigError, match="too_long: skip"):
        run_recipe(recipe, out_dir=tmp_path / "run", data_dir=tmp_path)


def test_a_feed_that_was_given_too_much_says_which_record(tmp_path: Path) -> None:
    samples = make_pairs(tmp_path, 1)
    batches = stage_batches(tmp_path, [make_pair(samples[0], "yes", LONG)], DPO, steps=1, batch_size=1)
    with pytest.raises(DataError, match=r"Sample 0-0 has an answer of \d+ tokens.*at most 4096"):
        batches[0]


def test_another_prompts_answer_is_cut_where_the_context_ends(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each record fits, the prompt of one with the answer of the other does not; that is said, not at every batch."""
    first, second = make_judged(tmp_path, 2)[0], make_judged(tmp_path, 2)[-1]
    asked = replace(first, messages=(Message("user", "<image>\n" + "why " * 600), first.messages[-1]))
    told = replace(second, messages=(second.messages[0], Message("assistant", "so " * 1000)))
    batches = stage_batches(tmp_path, [asked, told], [{"type": "kto"}], steps=1)
    batch = batches[0]
    said = [record.getMessage() for record in caplog.records if "cut at the 4096 tokens" in record.getMessage()]
    assert len(said) == 1
    assert f"1 so far, now behind sample {asked.id}'s prompt" in said[0]
    for _ in range(3):
        batches[0]
    assert sum("cut at the 4096 tokens" in record.getMessage() for record in caplog.records) == 3  # at 1, 2 and 4
    assert batch["input_ids"].shape[1] < 4096
    assert batch[MISMATCH]["input_ids"].shape[1] == 4096
    assert all((batch[MISMATCH]["answer_of"] == number).any() for number in (0, 1))
