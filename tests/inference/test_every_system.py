"""Every preset that answers gives the same answers to shared prefixes in batches as to one whole prompt at a time."""

import pytest
import torch

from geoprose.core.types import Message
from geoprose.inference.beams import BeamOptions
from geoprose.inference.generate import Request, answer_batch, answer_one_by_one
from geoprose.inference.sharing import choose_sharing
from geoprose.systems.build import build_system
from geoprose.systems.presets import list_presets, load_preset
from tests.fixtures.systems import picture, randomise

PRESETS = [name for name in list_presets() if hasattr(load_preset(name), "language_model")]
NEW_TOKENS = 5
DRAWS = [(seed, std) for seed in range(6) for std in (0.15, 0.3)]
"""A tiny random model often says the same to everything; the first draw that does not is enough."""
WAYS = {"cascade": ("cascade", "copy"), "copy": ("copy",), "none": ("none",)}


def _spelled(system, token_ids):
    special = set(system.processor.tokenizer.all_special_ids)
    return " ".join(str(token) for token in token_ids if token not in special)


def _requests():
    wide, high = picture(0, (80, 48)), picture(1, (40, 64))
    earlier = (Message("user", "<image>\nWhere?"), Message("assistant", "In the north"))
    return [
        Request((wide,), "Where?"),
        Request((high,), "How many ships?"),
        Request((wide,), "What is it, then?"),
        Request((high,), "Where?"),
        Request((wide,), "And why?", earlier),
        Request((wide, high), "And here?", earlier),
    ]


@pytest.mark.parametrize("preset", PRESETS)
def test_batched_answers_equal_single_ones_in_float32(preset, monkeypatch):
    # Why not texts: random tokens are no UTF-8, and all broken bytes look alike.
    monkeypatch.setattr("geoprose.inference.generate._decode", _spelled)
    requests = _requests()
    for seed, std in DRAWS:
        system = build_system(preset, scale="tiny", dtype=torch.float32)
        randomise(system.model, std, seed)
        with torch.no_grad():
            single = [
                text
                for batch in answer_one_by_one(system, requests, BeamOptions(1, NEW_TOKENS), 1)
                for text in batch.values()
            ]
        if len(set(single)) > 1:
            for sharing in WAYS[choose_sharing(system)]:
                assert answer_batch(system, requests, NEW_TOKENS, sharing=sharing) == single, sharing
                assert answer_batch(system, requests, NEW_TOKENS, 2, sharing=sharing) == single, sharing
            return
    pytest.fail("All answers were alike with every draw, so their equality would prove little.")
