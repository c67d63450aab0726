"""Every preset that answers gives the same answers to shared prefixes in batches as to one whole prompt at a time."""

import pytest
import torch

from geoprose.inference.generate import Request, answer_batch, answer_one_by_one
from geoprose.systems.presets import list_presets, load_preset
from geoprose.systems.verify import scrambled_system
from tests.fixtures.systems import picture

PRESETS = [name for name in list_presets() if hasattr(load_preset(name), "language_model")]
NEW_TOKENS = 5
SEEDS = 12
"""A tiny random model often says the same to everything; the first seed that does not is enough."""


def _spelled(system, token_ids):
    special = set(system.processor.tokenizer.all_special_ids)
    return " ".join(str(token) for token in token_ids if token not in special)


@pytest.mark.parametrize("preset", PRESETS)
def test_batched_answers_equal_single_ones(preset, monkeypatch):
    # Why not texts: random tokens are no UTF-8, and all broken bytes look alike.
    monkeypatch.setattr("geoprose.inference.generate._decode", _spelled)
    wide, high = picture(0, (80, 48)), picture(1, (40, 64))
    requests = [
        Request((wide,), "Where?"),
        Request((high,), "How many ships?"),
        Request((wide,), "What is it, then?"),
        Request((high,), "Where?"),
    ]
    for seed in range(SEEDS):
        system = scrambled_system(preset, seed)
        batched = answer_batch(system, requests, NEW_TOKENS)
        with torch.no_grad():
            single = [text for batch in answer_one_by_one(system, requests, NEW_TOKENS, 1) for text in batch.values()]
        assert batched == single
        if len(set(batched)) > 1:
            return
    pytest.fail("All answers were alike with every seed, so their equality proves little.")
