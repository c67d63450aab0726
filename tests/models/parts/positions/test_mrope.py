from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers import OPTConfig, OPTModel, Qwen2Config, Qwen2Model, Qwen2VLTextConfig
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VLModel, Qwen2VLRotaryEmbedding

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.layout.visual import VisualLayout
from geoprose.models.inputs import TextInputs, Visuals
from geoprose.models.parts.positions.mrope import Mrope, MultimodalRotary
from geoprose.systems.verify import batch_of
from tests.fixtures.systems import tiny_system

EXACT = {"atol": 3e-6, "rtol": 0}
MERGE = 2


def _visuals(grids):
    layouts = [VisualLayout(*grid) for grid in grids]
    return Visuals([torch.zeros(t * h * w, 1) for t, h, w in grids], layouts, 1)


def _text(is_visual, mask=None, past=0, state=None):
    is_visual = torch.tensor(is_visual)
    embeds = torch.zeros(*is_visual.shape, 1)
    mask = None if mask is None else torch.tensor(mask)
    return TextInputs(embeds, is_visual, mask, past, {} if state is None else state)


def _published(types, mask, grids_by_type):
    config = SimpleNamespace(vision_config=SimpleNamespace(spatial_merge_size=MERGE))
    owner = SimpleNamespace(config=config, get_vision_position_ids=partial(Qwen2VLModel.get_vision_position_ids, None))
    grids = {
        kind: torch.tensor(grids_by_type[kind]) * torch.tensor([1, MERGE, MERGE]) if grids_by_type[kind] else None
        for kind in (1, 2)
    }
    return Qwen2VLModel.get_rope_index(owner, torch.zeros_like(types), types, grids[1], grids[2], mask)


sides = st.integers(1, 3)
texts = st.integers(1, 3)
pictures = st.tuples(st.just(1), sides, sides)
videos = st.tuples(st.integers(2, 5), sides, sides)
rows = st.lists(st.tuples(texts, st.one_of(pictures, videos)), max_size=3).flatmap(
    lambda blocks: st.tuples(st.just(blocks), texts)
)


@given(st.lists(rows, min_size=1, max_size=3), st.integers(0, 2**31))
@settings(max_examples=120, deadline=None)
def test_ids_are_the_published_ones(batch, seed):
    rng = np.random.default_rng(seed)
    kinds, grids, by_type = [], [], {1: [], 2: []}
    for blocks, tail in batch:
        row = []
        for before, grid in blocks:
            kind = 1 if grid[0] == 1 else 2
            row += [0] * before + [kind] * int(np.prod(grid))
            grids.append(grid)
            by_type[kind].append(grid)
        kinds.append(row + [0] * tail)
    length = max(len(row) for row in kinds) + 2
    types, mask = np.zeros((len(kinds), length), int), np.zeros((len(kinds), length), int)
    for number, row in enumerate(kinds):
        # Padding anywhere but inside a visual: left, right, and between text tokens.
        places = [i for i, kind in enumerate([*row, 0]) if kind == 0]
        at = sorted(rng.choice(places, size=length - len(row)), reverse=True)
        padded, real = list(row), [1] * len(row)
        for place in at:
            padded.insert(place, 0)
            real.insert(place, 0)
        types[number], mask[number] = padded, real
    theirs, deltas = _published(torch.tensor(types), torch.tensor(mask), by_type)
    text = _text((types > 0).tolist(), mask.tolist())
    ours = Mrope(advance="hf5").build(text, _visuals(grids) if grids else None)
    assert torch.equal(ours, theirs)
    assert torch.equal(text.state["position_delta"], deltas)


def test_ids_by_hand():
    # Two words, a video of three steps of 1x2 tokens, two words; the paper goes on behind the largest id, 2 + 2.
    is_visual = [[False] * 2 + [True] * 6 + [False] * 2]
    video = [0, 1, 2, 2, 3, 3, 4, 4], [0, 1, 2, 2, 2, 2, 2, 2], [0, 1, 2, 3, 2, 3, 2, 3]
    for advance, behind in (("max_plus_one", [5, 6]), ("hf5", [4, 5])):
        ids = Mrope(advance=advance).build(_text(is_visual), _visuals([(3, 1, 2)]))
        assert ids[:, 0].tolist() == [axis + behind for axis in video]


@given(st.lists(pictures, min_size=1, max_size=3))
@settings(max_examples=30, deadline=None)
def test_pictures_advance_alike(grids):
    is_visual = [[False, *(flag for grid in grids for flag in [True] * int(np.prod(grid)) + [False])]]
    paper, published = (Mrope(advance=a).build(_text(is_visual), _visuals(grids)) for a in ("max_plus_one", "hf5"))
    assert torch.equal(paper, published)


def test_tiles_of_many_tokens_are_grids_one_after_another():
    visuals = Visuals([torch.zeros(8, 1)], [VisualLayout(1, 1, 2)], 4)
    ids = Mrope().build(_text([[True] * 8 + [False]]), visuals)
    assert ids[:, 0].tolist() == [
        [0, 0, 0, 0, 2, 2, 2, 2, 4],
        [0, 0, 1, 1, 2, 2, 3, 3, 4],
        [0, 1, 0, 1, 2, 3, 2, 3, 4],
    ]


def test_passes_go_on_where_the_last_one_ended():
    is_visual = [False, True, True, True, True, False, False, True, True, False]
    whole = Mrope().build(_text([is_visual]), _visuals([(1, 2, 2), (1, 1, 2)]))
    state = {}
    pieces = [
        Mrope().build(_text([is_visual[:6]], state=state), _visuals([(1, 2, 2)])),
        Mrope().build(_text([is_visual[6:7]], past=6, state=state), None),
        Mrope().build(_text([is_visual[7:]], past=7, state=state), _visuals([(1, 1, 2)])),
    ]
    assert torch.equal(torch.cat(pieces, dim=-1), whole)


@pytest.mark.parametrize(("tokens", "per_tile"), [(7, 7), (6, 4)])
def test_tokens_that_are_no_grid_count_like_words(tokens, per_tile):
    visuals = Visuals([torch.zeros(tokens, 1)], [VisualLayout()], per_tile)
    ids = Mrope().build(_text([[False] + [True] * tokens + [False]]), visuals)
    assert torch.equal(ids, torch.arange(tokens + 2).expand(3, 1, -1))


def test_wrong_placeholders_are_refused():
    with pytest.raises(ProcessingError, match="one run"):
        Mrope().build(_text([[True, True, False, True, True]]), _visuals([(1, 2, 2)]))
    with pytest.raises(ProcessingError, match="more than the 1 visuals"):
        Mrope().build(_text([[True, False, True]]), _visuals([(1, 1, 1)]))
    with pytest.raises(ProcessingError, match="attention mask"):
        Mrope().build(_text([[True]], mask=[[[[1]]]]), None)


@pytest.mark.parametrize("options", [{"sections": (1, 2)}, {"sections": (4, -1, 1)}, {"advance": "later"}])
def test_wrong_options_are_refused(options):
    with pytest.raises(ConfigError):
        Mrope(**options)


def test_rotary_is_the_published_one():
    values = {"hidden_size": 64, "num_attention_heads": 2, "num_hidden_layers": 1, "intermediate_size": 8}
    model = Qwen2Model(Qwen2Config(**values, num_key_value_heads=2, vocab_size=8))
    Mrope(sections=(4, 6, 6)).install(model)
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 6, 6]}
    theirs = Qwen2VLRotaryEmbedding(Qwen2VLTextConfig(**values, num_key_value_heads=2, rope_parameters=rope))
    x, ids = torch.zeros(2, 5, 64), torch.randint(0, 50, (3, 2, 5))
    for ours, published in zip(model.rotary_emb(x, ids), theirs(x, ids), strict=True):
        assert torch.equal(ours, published)
    for ours, published in zip(model.rotary_emb(x, ids[0]), theirs(x, ids[:1].expand(3, -1, -1)), strict=True):
        assert torch.equal(ours, published)
    with pytest.raises(ProcessingError, match=r"\(3, B, T\)"):
        model.rotary_emb(x, ids[:2])


def test_language_models_without_fitting_rotary_are_refused():
    values = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1, "vocab_size": 8}
    with pytest.raises(ConfigError, match="sum to 64"):
        Mrope().install(Qwen2Model(Qwen2Config(**values, num_key_value_heads=2, intermediate_size=8)))
    opt = OPTModel(OPTConfig(**values, ffn_dim=8, word_embed_proj_dim=16))
    with pytest.raises(ConfigError, match="no rotary embedding"):
        Mrope().install(opt)
    assert isinstance(MultimodalRotary(nn.Identity(), [1, 1, 1]).rotary, nn.Identity)


@pytest.fixture(scope="module", params=["hf5", "max_plus_one"])
def system(request):
    built = tiny_system("qwen2-vl")
    built.model.model.positions.advance = request.param
    return built


PICTURES = (((48, 90),), ((40, 64), (112, 30)))
SETTINGS = {"do_sample": False, "max_new_tokens": 6, "eos_token_id": None, "pad_token_id": 0}


def _row(batch, row, owners):
    """The batch of one row alone, without padding."""
    kept = batch["attention_mask"][row].bool()
    groups = batch["visual_layouts"][:, :3].prod(-1).tolist()
    first, last = owners[row]
    return {
        "input_ids": batch["input_ids"][row : row + 1, kept],
        "attention_mask": batch["attention_mask"][row : row + 1, kept],
        "visual_layouts": batch["visual_layouts"][first:last],
        "pixel_values": batch["pixel_values"][sum(groups[:first]) : sum(groups[:last])],
    }


def test_padding_left_and_in_the_middle_changes_nothing(system):
    batch = batch_of(system, PICTURES)
    logits = system.model(**batch).logits
    for row in (0, 1):
        alone = _row(batch, row, [(0, 1), (1, 3)])
        single = system.model(**alone).logits[0]
        torch.testing.assert_close(logits[row, batch["attention_mask"][row].bool()], single, **EXACT)
        length = alone["input_ids"].shape[1]
        # Two pads in front of the last three tokens, where text stands.
        order = [*range(length - 3), 0, 0, *range(length - 3, length)]
        mask = torch.ones(1, length + 2, dtype=torch.long)
        mask[0, length - 3 : length - 1] = 0
        padded = {**alone, "input_ids": alone["input_ids"][:, order], "attention_mask": mask}
        ids = padded["input_ids"].masked_fill(mask == 0, 0)
        middle = system.model(**{**padded, "input_ids": ids}).logits[0, mask[0].bool()]
        torch.testing.assert_close(middle, single, **EXACT)


@pytest.mark.parametrize("search", [{}, {"num_beams": 3}, {"num_beams": 2, "num_return_sequences": 2}])
def test_batched_generation_equals_single(system, search):
    batch = batch_of(system, PICTURES)
    together = system.model.generate(**batch, **SETTINGS, **search)[:, batch["input_ids"].shape[1] :]
    times = search.get("num_return_sequences", 1)
    for row in (0, 1):
        alone = _row(batch, row, [(0, 1), (1, 3)])
        single = system.model.generate(**alone, **SETTINGS, **search)[:, alone["input_ids"].shape[1] :]
        assert torch.equal(together[row * times : (row + 1) * times], single)


@pytest.mark.parametrize("kind", ["pictures", "videos"])
def test_cached_equals_uncached(system, kind):
    # transformers itself goes on at another id with a cache than without, behind a video of more steps than its edge.
    steps = 3 if system.model.model.positions.advance == "hf5" else 12
    sizes = PICTURES if kind == "pictures" else (((30, 30, steps), (40, 40)), ((60, 40, 3),))
    batch = batch_of(system, sizes)
    cached = system.model.generate(**batch, **SETTINGS)
    assert torch.equal(cached, system.model.generate(**batch, **SETTINGS, use_cache=False))
    mask = torch.cat([batch["attention_mask"], torch.ones(2, SETTINGS["max_new_tokens"], dtype=torch.long)], dim=-1)
    whole = system.model(**{**batch, "input_ids": cached, "attention_mask": mask}, use_cache=False).logits
    start = batch["input_ids"].shape[1]
    first = system.model(**batch, use_cache=True)
    rest = system.model(input_ids=cached[:, start:], attention_mask=mask, past_key_values=first.past_key_values).logits
    torch.testing.assert_close(rest, whole[:, start:], **EXACT)


def test_calls_leave_nothing_behind(system):
    batch, other = batch_of(system, PICTURES), batch_of(system, (((112, 112),),), seed=1)
    text = {name: other[name][:, -5:] for name in ("input_ids", "attention_mask")}
    before = system.model(**text).logits
    first = system.model(**batch, use_cache=True)
    system.model(**other, use_cache=True)
    assert torch.equal(system.model(**text).logits, before)
    step = {"input_ids": torch.tensor([[7], [8]]), "past_key_values": first.past_key_values}
    mask = torch.cat([batch["attention_mask"], torch.ones(2, 1, dtype=torch.long)], dim=-1)
    disturbed = system.model(**step, attention_mask=mask).logits
    again = system.model(**batch, use_cache=True).past_key_values
    clean = system.model(**{**step, "past_key_values": again}, attention_mask=mask).logits
    assert torch.equal(disturbed, clean)


def test_mask_is_not_needed(system):
    batch = batch_of(system, (((48, 90),),))
    for use_cache in (True, False):
        masked = system.model(**batch, use_cache=use_cache).logits
        batch_without = {name: value for name, value in batch.items() if name != "attention_mask"}
        torch.testing.assert_close(system.model(**batch_without, use_cache=use_cache).logits, masked, **EXACT)


def test_positions_matter(system):
    # Negative control: with one position per token the numbers are others.
    batch = batch_of(system, (((48, 90),),))
    plain = torch.arange(batch["input_ids"].shape[1])[None]
    difference = system.model(**batch).logits - system.model(**batch, position_ids=plain).logits
    assert float(difference.detach().abs().max()) > 1e-2


def test_gradient_reaches_every_parameter(system):
    batch = batch_of(system, PICTURES)
    system.model.zero_grad()
    system.model(**batch, labels=batch["input_ids"]).loss.backward()
    without = [name for name, p in system.model.named_parameters() if p.grad is None or not bool(p.grad.any())]
    system.model.zero_grad()
    assert without == []
