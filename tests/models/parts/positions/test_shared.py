import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.layout.visual import VisualLayout
from geoprose.models.inputs import TextInputs, Visuals
from geoprose.models.parts.positions.shared import SharedPositions
from geoprose.systems.build import build_system
from geoprose.systems.presets import load_preset
from geoprose.systems.verify import batch_of
from tests.fixtures.systems import randomise


def _visuals(*counts):
    return Visuals([torch.zeros(count, 1) for count in counts], [VisualLayout()] * len(counts), max(counts))


def _text(is_visual, mask=None, past=0, state=None):
    is_visual = torch.tensor(is_visual)
    mask = None if mask is None else torch.tensor(mask)
    return TextInputs(torch.zeros(*is_visual.shape, 1), is_visual, mask, past, {} if state is None else state)


def _by_rule(is_visual, is_real):
    """The rule of the published code, written down token by token: the ends of a run count as text, a patch counts
    only behind text, padding never."""
    ids, last = [], -1
    for place, (visual, real) in enumerate(zip(is_visual, is_real, strict=True)):
        is_inner = visual and 0 < place < len(is_visual) - 1 and is_visual[place - 1] and is_visual[place + 1]
        was_inner = is_inner and place > 1 and is_visual[place - 2]
        last += int(real and not was_inner)
        ids.append(last if real else 0)
    return ids


def test_ids_by_hand():
    # One word, begin-of-image, three patches, end-of-image, two words.
    is_visual = [[False, *[True] * 5, False, False]]
    assert SharedPositions().build(_text(is_visual), _visuals(5)).tolist() == [[0, 1, 2, 2, 2, 3, 4, 5]]
    assert SharedPositions(0).build(_text(is_visual), _visuals(5)).tolist() == [[0, 1, 1, 1, 1, 1, 2, 3]]
    assert SharedPositions(2).build(_text(is_visual), _visuals(5)).tolist() == [[0, 1, 2, 3, 4, 5, 6, 7]]


@pytest.mark.parametrize(("count", "ids"), [(1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (4, [0, 1, 1, 2])])
def test_short_visuals(count, ids):
    built = SharedPositions().build(_text([[True] * count + [False]]), _visuals(count))
    assert built.tolist() == [[*ids, ids[-1] + 1]]


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(2, 6)), min_size=1, max_size=3), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_ids_follow_the_rule(blocks, padding):
    row = [flag for before, count in blocks for flag in [False] * before + [True] * count] + [False]
    mask = [0] * padding + [1] * len(row)
    is_visual = [False] * padding + row
    built = SharedPositions().build(_text([is_visual], [mask]), _visuals(*(count for _, count in blocks)))
    assert built[0].tolist() == _by_rule(is_visual, mask)


def test_passes_go_on_where_the_last_one_ended():
    is_visual = [False, *[True] * 6, False, False, False]
    mask = [[0, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1]]
    whole = SharedPositions().build(_text([[False, *is_visual]], mask), _visuals(6))
    state = {}
    first = SharedPositions().build(_text([[False, *is_visual[:8]]], [mask[0][:9]], state=state), _visuals(6))
    rest = SharedPositions().build(_text([is_visual[8:]], mask, past=9, state=state), None)
    assert torch.equal(torch.cat([first, rest], dim=-1), whole)


def test_wrong_inputs_are_refused():
    with pytest.raises(ConfigError):
        SharedPositions(-1)
    with pytest.raises(ProcessingError, match="one run"):
        SharedPositions().build(_text([[True, False, True, True]]), _visuals(3))


@pytest.fixture(scope="module")
def system():
    preset = load_preset("llava-1.5").model_dump(mode="json")
    spec = type(load_preset("llava-1.5")).model_validate(
        {**preset, "position": {"type": "shared", "num_end_tokens": 0}}
    )
    built = build_system(spec, scale="tiny", dtype=torch.float64)
    randomise(built.model)
    return built


def test_model_generates_alike_with_cache_padding_and_beams(system):
    batch = batch_of(system, (((48, 48),), ((40, 64), (48, 48))))
    settings_ = {"do_sample": False, "max_new_tokens": 6, "eos_token_id": None, "pad_token_id": 0}
    for search in ({}, {"num_beams": 2}):
        cached = system.model.generate(**batch, **settings_, **search)
        assert torch.equal(cached, system.model.generate(**batch, **settings_, **search, use_cache=False))
    kept = batch["attention_mask"][0].bool()
    alone = {
        "input_ids": batch["input_ids"][:1, kept],
        "pixel_values": batch["pixel_values"][:1],
        "visual_layouts": batch["visual_layouts"][:1],
    }
    logits = system.model(**batch).logits[0, kept]
    for use_cache in (True, False):
        single = system.model(**alone, use_cache=use_cache).logits[0]
        torch.testing.assert_close(logits, single, atol=3e-6, rtol=0)
    counted = system.model(**alone, position_ids=torch.arange(int(kept.sum()))[None]).logits[0]
    assert np.abs((counted - single).detach().numpy()).max() > 1e-2
