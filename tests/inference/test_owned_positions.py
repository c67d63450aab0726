"""Batched answers of systems whose position scheme counts visuals in its own way: shared prefixes change nothing."""

import pytest
import torch

from geoprose.inference.generate import Request, answer_batch
from geoprose.systems.batch import prepare_batch
from geoprose.systems.build import build_system
from geoprose.systems.presets import load_preset
from tests.fixtures.systems import picture, randomise

REQUESTS = [
    Request((picture(0, (48, 90)),), "Where?"),
    Request((picture(0, (48, 90)),), "Which class covers most of the tile?"),
    Request((picture(1, (90, 48)),), "Is there water?"),
    Request((picture(2, (40, 64)), picture(0, (48, 90))), "What changed?"),
    Request((), "What is a raster?"),
]
NEW_TOKENS = 6


def _system(position):
    preset = load_preset("qwen2-vl")
    values = {**preset.model_dump(mode="json"), "position": position}
    values["tiny"] = {key: value for key, value in values["tiny"].items() if key != "position"}
    system = build_system(type(preset).model_validate(values), scale="tiny", dtype=torch.float64)
    randomise(system.model)
    return system


@pytest.mark.parametrize(
    "position",
    [
        {"type": "mrope", "sections": [2, 1, 1], "advance": "hf5"},
        {"type": "mrope", "sections": [2, 1, 1], "advance": "max_plus_one"},
        {"type": "shared", "num_end_tokens": 1},
    ],
    ids=lambda position: " ".join(str(value) for value in position.values()),
)
def test_answers_equal_generation_one_by_one(position):
    system = _system(position)
    answers = answer_batch(system, REQUESTS, NEW_TOKENS)
    for request, answer in zip(REQUESTS, answers, strict=True):
        inputs = prepare_batch(system, [(list(request.images), request.question)])
        ids = system.model.generate(**inputs, do_sample=False, max_new_tokens=NEW_TOKENS)
        new = ids[0, inputs["input_ids"].shape[1] :]
        assert system.processor.tokenizer.decode(new, skip_special_tokens=True).strip() == answer
    assert len(set(answers)) > 1
