"""Fractional visual positions: by hand, in pieces, packed, in training, and in a whole system."""

import pytest
import torch

from geoprose.core.errors import ConfigError
from geoprose.models.inputs import TextInputs, Visuals, select_rows, state_of
from geoprose.models.parts.positions.v2pe import TRAIN_DELTAS, V2pe
from geoprose.systems.build import build_system
from geoprose.systems.interop.internvl import InternvlReference
from geoprose.systems.presets import load_preset
from geoprose.systems.verify import batch_of
from tests.fixtures.systems import randomise

V, T, P = "visual", "text", "padding"


def _text(rows, past=0, state=None, mask=None):
    is_visual = torch.tensor([[kind == V for kind in row] for row in rows])
    padding = torch.tensor([[int(kind != P) for kind in row] for row in rows])
    if mask is None:
        mask = torch.cat([torch.ones(len(rows), past, dtype=torch.long), padding], dim=-1)
    embeds = torch.zeros(*is_visual.shape, 2, dtype=torch.bfloat16)
    return TextInputs(embeds, is_visual, mask, past, {} if state is None else state)


def _visuals(*sizes):
    return Visuals([torch.zeros(size, 2) for size in sizes], [], 1)


def _ids(positions, rows, sizes=(), **kwargs):
    return positions.build(_text(rows, **kwargs), _visuals(*sizes) if sizes else None)


def test_by_hand():
    row = [T, T, V, V, V, V, T, V, V, T]
    ids = _ids(V2pe(delta=0.25), [row], (4, 2))
    assert ids.dtype == torch.float32
    assert ids.tolist() == [[0, 1, 1.25, 1.5, 1.75, 2, 3, 3.25, 3.5, 5]]
    paper = _ids(V2pe(delta=0.25, ceil=False), [row], (4, 2))
    assert paper.tolist() == [[0, 1, 1.25, 1.5, 1.75, 2, 3, 3.25, 3.5, 4.5]]


def test_two_pictures_without_text_between():
    assert _ids(V2pe(delta=0.5), [[T, V, V, V, V, T]], (3, 1)).tolist() == [[0, 0.5, 1, 1.5, 2.5, 4]]


@pytest.mark.parametrize("stride", [1, 4, 64, 256])
@pytest.mark.parametrize("tiles", [1, 3])
def test_stride_of_the_released_code(stride, tiles):
    count = 256 * tiles
    ids = _ids(V2pe(delta=stride / 256), [[T] * 5 + [V] * count + [T] * 2], (count,))[0]
    last = 4
    expected = last + stride / 256 * torch.arange(1, count + 1)
    assert torch.equal(ids[5 : 5 + count], expected)
    assert ids[-2:].tolist() == [last + stride * tiles + 1, last + stride * tiles + 2]


def test_a_sequence_may_begin_with_a_picture():
    assert _ids(V2pe(delta=0.25), [[V, V, V, T]], (3,)).tolist() == [[0, 0.25, 0.5, 2]]


def test_thirds_do_not_jump_by_rounding():
    assert _ids(V2pe(delta=1 / 3), [[T, V, V, V, T]], (3,))[0, -1] == 2


def test_padding_does_not_count():
    rows = [[P, P, T, V, V, T], [T, V, P, V, T, T]]
    ids = _ids(V2pe(delta=0.5), rows, (2, 2))
    assert ids[0, 2:].tolist() == [0, 0.5, 1, 2]
    assert ids[1][torch.tensor([0, 1, 3, 4, 5])].tolist() == [0, 0.5, 1, 2, 3]


def test_pieces_with_a_cache_equal_the_whole():
    row = [T, T, V, V, V, T, T, V, T, T]
    scheme, state = V2pe(delta=0.125), {}
    whole = _ids(scheme, [row], (3, 1))
    pieces = [
        _ids(scheme, [row[:6]], (3,), state=state),
        _ids(scheme, [row[6:8]], (1,), past=6, state=state),
        _ids(scheme, [row[8:9]], past=8, state=state),
        _ids(scheme, [row[9:]], past=9, state=state),
    ]
    assert torch.equal(torch.cat(pieces, -1), whole)
    assert all(value.shape[0] == 1 for value in state.values())


def test_each_row_keeps_its_own_shift():
    scheme, state = V2pe(delta=0.25), {}
    _ids(scheme, [[T, V, V, V, V, T], [P, P, T, T, T, T]], (4,), state=state)
    assert _ids(scheme, [[T], [T]], past=6, state=state).tolist() == [[3], [4]]


@pytest.mark.parametrize("is_additive", [False, True])
def test_packed_branches_equal_rows_of_their_own(is_additive):
    prefix, branches = [T, V, V, V, T], ([T, T], [T, T, T])
    packed = prefix + branches[0] + branches[1]
    mask = torch.ones(10, 10, dtype=torch.bool).tril()
    mask[7:, 5:7] = False
    mask = mask[None, None]
    if is_additive:
        mask = torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)
    scheme = V2pe(delta=0.25)
    ids = _ids(scheme, [packed], (3,), mask=mask)[0]
    alone = [_ids(scheme, [prefix + branch], (3,))[0] for branch in branches]
    assert torch.equal(ids[:7], alone[0])
    assert torch.equal(ids[7:], alone[1][5:])


def test_training_draws_one_delta_for_each_picture():
    scheme, language_model = V2pe(delta=0.5), torch.nn.Identity()
    scheme.install(language_model)
    row = [T, V, V, T] * 40

    def deltas():
        ids = _ids(scheme, [row], (2,) * 40)[0].reshape(40, 4)
        assert torch.equal(ids[:, 2] - ids[:, 1], ids[:, 1] - ids[:, 0])
        return (ids[:, 1] - ids[:, 0]).tolist()

    torch.manual_seed(0)
    drawn = deltas()
    assert set(drawn) <= set(TRAIN_DELTAS)
    assert len(set(drawn)) > 4
    torch.manual_seed(0)
    assert deltas() == drawn
    language_model.eval()
    assert set(deltas()) == {0.5}
    scheme.delta = 0.125
    assert set(deltas()) == {0.125}


def test_a_wrong_number_of_placeholders_is_left_to_the_fusion():
    assert _ids(V2pe(), [[T, V, V]], (3,)) is None


@pytest.mark.parametrize("options", [{"delta": 0}, {"delta": 1.5}, {"train_deltas": [2]}, {"train_deltas": []}])
def test_bad_options_are_refused(options):
    with pytest.raises(ConfigError, match="delta"):
        V2pe(**options)


def _system(position):
    spec = load_preset("internvl-3", [f"position={position}", "reference=null"])
    system = build_system(spec, scale="tiny", dtype=torch.float64)
    randomise(system.model)
    return system


@pytest.fixture(scope="module")
def fractional():
    return _system({"type": "v2pe", "delta": 0.25})


@pytest.fixture(scope="module")
def batch(fractional):
    return batch_of(fractional, (((130, 60),), ((40, 33), (48, 48))))


@torch.no_grad()
def test_generation_with_a_cache_equals_generation_without(fractional, batch):
    settings = {"do_sample": False, "max_new_tokens": 5, "eos_token_id": None, "pad_token_id": 0}
    cached = fractional.model.generate(**batch, **settings)
    assert torch.equal(cached, fractional.model.generate(**batch, **settings, use_cache=False))
    beams = fractional.model.generate(**batch, **settings, num_beams=2)
    assert beams.shape == cached.shape


@torch.no_grad()
def test_logits_equal_transformers_given_the_ids(fractional, batch):
    model = fractional.model
    theirs = InternvlReference().build(model)
    given = []
    handle = model.model.language_model.register_forward_pre_hook(
        lambda _module, _args, kwargs: given.append(kwargs["position_ids"]), with_kwargs=True
    )
    ours = model(**batch, use_cache=False).logits
    handle.remove()
    inputs = InternvlReference().inputs(batch)
    kept = batch["attention_mask"].bool()
    expected = theirs(**inputs, position_ids=given[0], use_cache=False).logits
    assert given[0].dtype == torch.float32
    assert (ours - expected)[kept].abs().max() < 1e-5
    assert (ours - theirs(**inputs).logits)[kept].abs().max() > 1e-3


@torch.no_grad()
def test_a_missing_mask_changes_nothing(fractional, batch):
    row = {name: batch[name][:1] for name in ("input_ids", "visual_layouts")}
    row["pixel_values"] = batch["pixel_values"][:3]
    ones = torch.ones_like(row["input_ids"])
    assert torch.equal(batch["attention_mask"][:1], ones)
    masked = fractional.model(**row, attention_mask=ones, use_cache=False).logits
    assert torch.equal(fractional.model(**row, use_cache=False).logits, masked)


@torch.no_grad()
def test_delta_of_one_is_plain_rope(batch):
    plain, whole = _system({"type": "rope1d"}), _system({"type": "v2pe", "delta": 1.0})
    kept = batch["attention_mask"].bool()
    assert torch.equal(plain.model(**batch).logits[kept], whole.model(**batch).logits[kept])


def test_the_state_follows_selected_rows(fractional, batch):
    with torch.no_grad():
        cache = fractional.model(**batch, use_cache=True).past_key_values
    before = dict(state_of(cache))
    select_rows(cache, torch.tensor([1]))
    assert before
    for name, value in before.items():
        assert torch.equal(state_of(cache)[name], value[1:])
