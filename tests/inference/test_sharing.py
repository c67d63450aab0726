"""Which way a system shares prefixes, and what it says when it cannot."""

import logging

import pytest
import torch
from transformers.cache_utils import DynamicLayer

from geoprose.core.errors import ConfigError, InputError
from geoprose.inference.continuations import Prefixes, run_prefixes
from geoprose.inference.features import FeatureCache
from geoprose.inference.generate import Request, answer_batch, encode_prompts
from geoprose.inference.shared_prefix import group_prompts
from geoprose.inference.shared_prefix_copy import RoomyLayer, can_fork
from geoprose.inference.sharing import choose_sharing, plan
from geoprose.models.inputs import state_of
from geoprose.systems.build import build_system
from geoprose.systems.presets import list_presets, load_preset
from tests.fixtures.systems import picture, randomise, tiny_system

WAYS = {
    "demo": "cascade",
    "qwen2-vl": "cascade",
    "internvl-3-v2pe": "cascade",
    "phi-3-vision": "cascade",
    "flamingo": "copy",
    "llama-3.2-vision": "copy",
    "deepseek-vl2": "copy",
    "blip2-opt": "copy",
    "instructblip-vicuna": "none",
    "blip2-t5": "none",
}


@pytest.mark.parametrize(("preset", "way"), WAYS.items())
def test_what_a_system_takes_by_itself(preset, way, caplog):
    system = build_system(preset, scale="tiny")
    with caplog.at_level(logging.INFO, logger="geoprose"):
        assert choose_sharing(system) == way
    said = [record for record in caplog.records if record.name == "geoprose.inference.sharing"]
    assert (way == "cascade") == (not said)
    ways = ["cascade", "copy", "none"]
    for wanted in ways:
        if ways.index(wanted) >= ways.index(way):
            assert choose_sharing(system, wanted) == wanted
        else:
            with pytest.raises(ConfigError, match="cannot share prefixes by"):
                choose_sharing(system, wanted)


def test_a_sliding_window_is_copied_not_cascaded():
    preset = load_preset("internvl-3")
    values = preset.model_dump(mode="json")
    window = {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 0}
    values["tiny"] = {**values["tiny"], "language_model": {"config": window}}
    system = build_system(type(preset).model_validate(values), scale="tiny")
    randomise(system.model, 0.15)
    assert choose_sharing(system) == "copy"
    requests = [Request((picture(seed),), text) for seed in range(2) for text in ("Where?", "What is it, and why?")]
    whole = [answer_batch(system, [request], 6, sharing="none")[0] for request in requests]
    assert answer_batch(system, requests, 6) == whole


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match="Known: auto, cascade, copy, none"):
        choose_sharing(tiny_system("rsicd-small"), "both")


def test_blind_answers_need_features_apart_from_the_question():
    system = build_system("instructblip-vicuna", scale="tiny")
    with pytest.raises(InputError, match="cannot answer blind"):
        plan(system, "auto", 8, FeatureCache(system, is_blind=True))


def test_a_cache_without_layers_of_keys_is_not_copied():
    assert not can_fork(object())


@pytest.mark.parametrize("preset", [name for name in list_presets() if hasattr(load_preset(name), "language_model")])
def test_a_fusion_that_leaves_a_state_says_so(preset):
    """What rides on the cache behind a prefix belongs to the positions, or the fusion declares it."""
    system = build_system(preset, scale="tiny")
    how = plan(system, "auto", 8, None)
    if how is None:
        return
    groups = group_prompts(system, encode_prompts(system, [Request((picture(0),), "Where?")]))
    with torch.inference_mode():
        prefixes = run_prefixes(system, how.features, groups)
    own = {name for name in state_of(prefixes.cache) if not name.startswith(("position", "v2pe"))}
    assert bool(own) == system.model.model.fusion.keeps_state, own
    assert Prefixes(None, 0).state == {}


@pytest.mark.parametrize("sharing", ["cascade", "copy"])
def test_bfloat16_runs_both_ways(sharing):
    system = build_system("demo", scale="tiny", dtype=torch.bfloat16)
    randomise(system.model, 0.15)
    requests = [Request((picture(0),), text) for text in ("Where?", "What is it, and why?")]
    assert len(answer_batch(system, requests, 4, sharing=sharing)) == 2


def test_without_the_kernel_of_torch_answers_stay(monkeypatch):
    system = tiny_system("demo", dtype=torch.float32)
    requests = [Request((picture(seed),), text) for seed in range(2) for text in ("Where?", "What is it, and why?")]
    before = answer_batch(system, requests, 6, sharing="cascade")
    monkeypatch.setattr("geoprose.models.attention_lse.is_flash_sound", lambda _dtype: False)
    assert answer_batch(system, requests, 6, sharing="cascade") == before


def test_the_attention_is_the_model_s_own_again_behind_a_cascade():
    system = tiny_system("demo", dtype=torch.float32)
    config = system.model.model.language_model.config
    before = config._attn_implementation
    answer_batch(system, [Request((picture(0),), "Where?")], 2, sharing="cascade")
    assert config._attn_implementation == before != "geoprose_cascade"


def test_a_layer_with_room_holds_what_transformers_layer_holds():
    plain, rows = DynamicLayer(), torch.tensor([1, 1, 0])
    draw = torch.Generator().manual_seed(0)
    first = torch.randn(2, 3, 5, 4, generator=draw)
    plain.update(first, -first)
    roomy = RoomyLayer(plain, rows)
    plain.batch_select_indices(rows)
    before = plain.keys.clone()
    for length in (3, 1, 200, 1):
        new = torch.randn(len(plain.keys), 3, length, 4, generator=draw)
        for mine, theirs in zip(roomy.update(new, 2 * new), plain.update(new, 2 * new), strict=True):
            assert torch.equal(mine, theirs)
        fork = RoomyLayer(roomy, torch.arange(len(roomy.keys)))
        fork.update(new, new)  # must not be seen by the one it was made from
        kept = torch.arange(len(plain.keys) - (length == 1))
        for layer in (plain, roomy):
            layer.batch_select_indices(kept)
        assert torch.equal(roomy.keys, plain.keys)
        assert roomy.get_seq_length() == plain.get_seq_length()
    assert torch.equal(before[:1], roomy.keys[..., :5, :])
    same = RoomyLayer(plain, torch.tensor([0, 0]))
    assert torch.equal(same.keys, plain.keys[[0, 0]])
