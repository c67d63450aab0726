"""Gated cross-attention: what the language model keeps, what pictures change, and what decoding steps remember."""

import copy

import pytest
import torch
from peft import LoraConfig, get_peft_model

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.models.inputs import select_rows
from geoprose.models.parts.fusions.gated_cross_attention import BlockSizes
from geoprose.systems.build import build_system
from geoprose.systems.presets import load_preset
from tests.fixtures.systems import conversation, pixels_of, randomise, tiny_system


@pytest.fixture(scope="module")
def system():
    return tiny_system("idefics")


def _ids(system, question="Is there water?", images=1) -> torch.Tensor:
    row = system.processor.encode_prompt(conversation(question, None, images), [(1,)] * images)
    return torch.tensor([row])


def _logits(system, ids, *seeds, **kwargs):
    return system.model(input_ids=ids, pixel_values=pixels_of(system, *seeds), **kwargs).logits


@torch.no_grad()
def test_gates_at_zero_leave_the_language_model_as_it_is():
    fresh = build_system("idefics", scale="tiny")
    ids = _ids(fresh)
    model = fresh.model
    alone = model.lm_head(model.model.language_model(input_ids=ids).last_hidden_state)
    assert torch.equal(_logits(fresh, ids, 1), alone)
    assert torch.equal(model(input_ids=ids[:, 8:]).logits, model.lm_head(model.model.language_model(ids[:, 8:])[0]))


@torch.no_grad()
def test_a_token_sees_the_last_picture_before_it_only(system):
    ids = _ids(system, images=2)
    places = (ids[0] == system.model.config.image_token_id).nonzero().squeeze(-1).tolist()
    base = _logits(system, ids, 1, 2)[0]
    assert torch.equal(_logits(system, ids, 1, 3)[0, : places[1]], base[: places[1]])
    first_changed = (_logits(system, ids, 4, 2)[0] - base).abs().amax(-1)
    assert first_changed[: places[0]].max() == 0
    assert first_changed[places[0]] > 1e-6


@torch.no_grad()
def test_rows_do_not_disturb_each_other(system):
    one, two = _ids(system, "Where?", 1)[0], _ids(system, "Where?", 2)[0]
    none = torch.tensor(system.processor.encode_prompt(conversation("Where?", None, 0), []))
    batch = system.processor.pad_prompts([one.tolist(), none.tolist(), two.tolist()])
    logits = system.model(**batch, pixel_values=pixels_of(system, 1, 2, 3)).logits
    assert torch.allclose(logits[0, -1], _logits(system, one[None], 1)[0, -1], atol=1e-9)
    assert torch.allclose(logits[2, -1], _logits(system, two[None], 2, 3)[0, -1], atol=1e-9)
    assert torch.allclose(logits[1, -1], system.model(input_ids=none[None]).logits[0, -1], atol=1e-9)


@torch.no_grad()
def test_cached_steps_equal_one_pass(system):
    ids = _ids(system, images=2)
    cut = int((ids[0] == system.model.config.image_token_id).nonzero()[1]) - 3
    whole = _logits(system, ids, 1, 2)
    first = system.model(input_ids=ids[:, :cut], pixel_values=pixels_of(system, 1), use_cache=True)
    second = system.model(
        input_ids=ids[:, cut:-1], pixel_values=pixels_of(system, 2), past_key_values=first.past_key_values
    )
    last = system.model(input_ids=ids[:, -1:], past_key_values=second.past_key_values)
    steps = torch.cat([first.logits, second.logits, last.logits], 1)
    assert torch.allclose(steps, whole, atol=1e-9)


@torch.no_grad()
def test_cached_rows_can_be_selected(system):
    ids = _ids(system).expand(2, -1)
    cache = system.model(input_ids=ids[:, :-1], pixel_values=pixels_of(system, 1, 2), use_cache=True).past_key_values
    select_rows(cache, torch.tensor([1, 1, 0]))
    steps = system.model(input_ids=ids[[1, 1, 0], -1:], past_key_values=cache).logits[:, -1]
    for step, seed in zip(steps, (2, 2, 1), strict=True):
        assert torch.allclose(step, _logits(system, ids[:1], seed)[0, -1], atol=1e-9)


@torch.no_grad()
def test_generation_ways_agree(system):
    ids, pixels = _ids(system, images=2), pixels_of(system, 1, 2)
    settings = {"do_sample": False, "max_new_tokens": 5, "eos_token_id": None, "pixel_values": pixels}
    cached = system.model.generate(ids, **settings)
    assert torch.equal(cached, system.model.generate(ids, **settings, use_cache=False))
    beams = system.model.generate(ids, **settings, num_beams=2, num_return_sequences=2)
    assert beams.shape[0] == 2
    assert torch.equal(
        beams, system.model.generate(ids, **settings, num_beams=2, num_return_sequences=2, use_cache=False)
    )


def test_checkpointing_changes_no_gradient(system):
    ids, pixels = _ids(system), pixels_of(system, 1)

    def gradients(model):
        model.train()(input_ids=ids, pixel_values=pixels, labels=ids, use_cache=False).loss.backward()
        return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}

    plain = gradients(copy.deepcopy(system.model))
    checkpointed = copy.deepcopy(system.model)
    checkpointed.activation_checkpointing_enable({"use_reentrant": False})
    again = gradients(checkpointed)
    assert plain.keys() == again.keys()
    assert all(torch.equal(plain[name], again[name]) for name in plain)
    trained = {name for name, p in system.model.named_parameters() if p.requires_grad}
    assert trained == set(plain)


@torch.no_grad()
def test_hidden_states_and_names_stay(system):
    model = system.model
    names = set(model.model.language_model.state_dict())
    assert names == {name for name in names if "blocks" not in name and "gate." not in name}
    states = model(input_ids=_ids(system), pixel_values=pixels_of(system, 1), output_hidden_states=True).hidden_states
    assert len(states) == model.config.text_config.num_hidden_layers + 1


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.* is deprecated:FutureWarning")  # of PEFT
def test_an_adapter_trains(system):
    adapted = get_peft_model(copy.deepcopy(system.model), LoraConfig(target_modules=r".*language_model.*\.q_proj", r=2))
    ids = _ids(system)
    adapted(input_ids=ids, pixel_values=pixels_of(system, 1), labels=ids).loss.backward()
    with_gradient = [n for n, p in adapted.named_parameters() if p.grad is not None]
    assert with_gradient
    assert all("lora" in name for name in with_gradient)


@torch.no_grad()
def test_a_copy_has_its_own_blocks(system):
    copied = copy.deepcopy(system.model)
    randomise(copied.model.fusion, seed=5)
    ids = _ids(system)
    before = _logits(system, ids, 1)
    assert not torch.allclose(copied(input_ids=ids, pixel_values=pixels_of(system, 1)).logits, before)
    assert torch.equal(_logits(system, ids, 1), before)


@pytest.mark.parametrize("options", [["fusion.gate=vector"], ["fusion.visible=all"], ["fusion.feed_forward=relu2"]])
def test_options_build_and_run(options):
    system = build_system(load_preset("idefics", options), scale="tiny", dtype=torch.float64)
    randomise(system.model)
    assert torch.isfinite(_logits(system, _ids(system, images=2), 1, 2)).all()


def test_any_connector_of_the_language_models_width_fits():
    spec = load_preset("idefics", ["connector={type: mlp}", "fusion.visual_width=null"])
    values = spec.model_dump(mode="json")
    values["tiny"] = {"fusion": {"every": 2}}
    system = build_system(type(spec).model_validate(values), scale="tiny", dtype=torch.float64)
    randomise(system.model)
    ids = _ids(system)
    assert not torch.allclose(_logits(system, ids, 1), _logits(system, ids, 2))


def test_faults_are_named(system):
    with pytest.raises(ProcessingError, match="one placeholder per picture"):
        _logits(system, _ids(system, images=2), 1)
    with pytest.raises(ProcessingError, match="no picture was given"):
        system.model(input_ids=_ids(system))
    sizes = {"width": 8, "visual_width": 8, "num_heads": 2, "head_dim": 4, "hidden_size": 8}
    for option in ({"norm": "batchnorm"}, {"gate": "none"}, {"feed_forward": "geglu"}):
        with pytest.raises(ConfigError, match=next(iter(option.values()))):
            BlockSizes(**sizes, **option)
    wide = load_preset("idefics").model_dump(mode="json")
    wide["tiny"]["fusion"]["visual_width"] = 16
    other = build_system(type(load_preset("idefics")).model_validate(wide), scale="tiny")
    with pytest.raises(ProcessingError, match=r"set fusion\.visual_width to 32"):
        _logits(other, _ids(other), 1)
