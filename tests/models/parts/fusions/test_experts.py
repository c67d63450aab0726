"""Visual experts and mixtures of modality experts: who computes which token, and what the language model keeps."""

import copy

import pytest
import torch
from transformers import BloomConfig, BloomModel

from geoprose.core.errors import ConfigError
from geoprose.models.parts.connectors.conv_glu import ConvGluConnector
from geoprose.models.parts.fusions.modality_moe import GateRecord, ModalityMoeFusion, load_balance, record_gates
from geoprose.models.parts.fusions.visual_expert import VisualExpertFusion, expert_tokens
from geoprose.systems.build import build_system
from geoprose.systems.presets import load_preset
from tests.fixtures.systems import pixels_of, prompt_ids, randomise

_HARD, _SOFT = "{type: modality_moe}", "{type: modality_moe, routing: soft, num_experts: 2, top_k: 2}"
FUSIONS = {"visual expert": "{type: visual_expert, qkv_bias: true}", "hard": _HARD, "soft": _SOFT}


def _system(fusion: str, is_random: bool = True):
    system = build_system(load_preset("llava-1.5", [f"fusion={fusion}"]), scale="tiny", dtype=torch.float64)
    if is_random:
        randomise(system.model)
    return system


def _logits(system, *seeds, model=None):
    return (model or system.model)(input_ids=prompt_ids(system), pixel_values=pixels_of(system, *seeds)).logits


@torch.no_grad()
@pytest.mark.parametrize("fusion", FUSIONS.values(), ids=FUSIONS)
def test_fresh_experts_are_copies_so_nothing_changes(fusion):
    system, plain = _system(fusion, is_random=False), _system("{type: scatter}", is_random=False)
    plain.model.load_state_dict(system.model.state_dict(), strict=False)
    assert torch.allclose(_logits(system, 1), _logits(plain, 1), atol=1e-7)


@torch.no_grad()
@pytest.mark.parametrize("fusion", [FUSIONS["visual expert"], _HARD], ids=["visual expert", "hard"])
def test_words_alone_never_meet_an_expert(fusion):
    system = _system(fusion)
    words = prompt_ids(system, images=0)
    before = system.model(input_ids=words).logits
    assert torch.equal(before, system.model.lm_head(system.model.model.language_model(input_ids=words)[0]))
    with_picture = _logits(system, 1)
    randomise(system.model.model.fusion, seed=7)
    assert torch.equal(system.model(input_ids=words).logits, before)
    assert not torch.allclose(_logits(system, 1), with_picture)


@pytest.mark.parametrize("fusion", FUSIONS.values(), ids=FUSIONS)
def test_checkpointing_changes_no_gradient(fusion):
    """Two passes before the one backward pass: a replayed layer must find the routing of its own pass."""
    system = _system(fusion)
    ids, words = prompt_ids(system), prompt_ids(system, images=0)

    def gradients(model):
        picture_loss = model.train()(ids, pixel_values=pixels_of(system, 1), labels=ids, use_cache=False).loss
        (picture_loss + model(words, labels=words, use_cache=False).loss).backward()
        return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}

    plain = gradients(copy.deepcopy(system.model))
    checkpointed = copy.deepcopy(system.model)
    checkpointed.activation_checkpointing_enable({"use_reentrant": False})
    again = gradients(checkpointed)
    assert plain.keys() == again.keys() == {n for n, p in system.model.named_parameters() if p.requires_grad}
    assert all(torch.allclose(plain[name], again[name], atol=1e-12) for name in plain)


@torch.no_grad()
@pytest.mark.parametrize("fusion", FUSIONS.values(), ids=FUSIONS)
def test_cached_generation_equals_uncached(fusion):
    system = _system(fusion)
    settings = {"do_sample": False, "max_new_tokens": 4, "eos_token_id": None, "pixel_values": pixels_of(system, 1)}
    cached = system.model.generate(prompt_ids(system), **settings)
    assert torch.equal(cached, system.model.generate(prompt_ids(system), **settings, use_cache=False))
    copied = copy.deepcopy(system.model)
    randomise(copied, seed=9)
    assert not torch.allclose(_logits(system, 1, model=copied), _logits(system, 1))


def test_the_last_visual_token_stays_with_the_language_weights():
    is_visual = torch.tensor([[0, 1, 1, 1, 0, 1, 0, 1]], dtype=torch.bool)
    assert expert_tokens(is_visual).int().tolist() == [[0, 1, 1, 0, 0, 0, 0, 0]]


@torch.no_grad()
def test_soft_routing_by_hand():
    """Gates that always choose expert 1 (the first copy) with weight 1."""
    system = _system("{type: modality_moe, routing: soft, num_experts: 2, top_k: 1, every: 2, offset: 1}")
    fusion = system.model.model.fusion
    assert fusion.layer_indices == [1]
    mlp, expert = system.model.model.language_model.layers[1].mlp, fusion.experts[0][0]
    hidden = torch.randn(2, 3, 32, dtype=torch.float64).abs()
    fusion.gates[0].weight.copy_(torch.tensor([[-1.0], [1.0], [-1.0]]).expand(3, 32))
    with record_gates() as records:
        assert torch.equal(mlp(hidden), expert(hidden))
    assert records[0].is_chosen_BTX[..., 1].all()
    assert records[0].is_chosen_BTX.sum() == 6
    assert load_balance(records[0]) == pytest.approx(3.0, abs=1e-3)


def test_load_balance_by_hand_and_with_gradient():
    even = GateRecord(torch.full((1, 4, 2), 0.5), torch.eye(2, dtype=torch.bool).repeat(2, 1)[None])
    assert load_balance(even) == pytest.approx(1.0)
    probabilities = torch.tensor([[[0.9, 0.1], [0.7, 0.3]]], requires_grad=True)
    record = GateRecord(probabilities, torch.tensor([[[True, False], [True, False]]]))
    loss = load_balance(record)
    assert loss.item() == pytest.approx(2 * 0.8)
    loss.backward()
    assert probabilities.grad[..., 0].min() > 0
    assert load_balance(record, torch.tensor([[True, False]])).item() == pytest.approx(2 * 0.9)


@pytest.mark.parametrize(
    "options", [{"routing": "random"}, {"num_experts": 2}, {"routing": "soft", "top_k": 3}, {"every": 9, "offset": 5}]
)
def test_bad_options_are_refused(options):
    config = load_preset("llava-1.5").language_model.config
    text_config = type("Config", (), {"num_hidden_layers": 2, "hidden_size": 8})
    assert config
    with pytest.raises(ConfigError):
        ModalityMoeFusion(text_config, **options)


def test_other_layers_are_refused():
    language_model = BloomModel(BloomConfig(hidden_size=8, n_head=2, n_layer=2, vocab_size=9))
    with pytest.raises(ConfigError, match="has no self_attn"):
        VisualExpertFusion(language_model.config).attach(language_model)


def test_conv_glu_by_hand():
    connector = ConvGluConnector(1, 2, hidden_size=2).double()
    with torch.no_grad():
        connector.conv.weight.fill_(0.25)
        connector.conv.bias.zero_()
        connector.linear.weight.copy_(torch.tensor([[1.0], [-1.0]]))
        for layer in (connector.gate_proj, connector.up_proj, connector.down_proj):
            layer.weight.copy_(torch.eye(2))
        connector.start_token.fill_(5)
        connector.end_token.fill_(6)
    features = torch.arange(16.0, dtype=torch.float64).view(1, 16, 1)
    means = torch.tensor([2.5, 4.5, 10.5, 12.5], dtype=torch.float64)
    normed = torch.nn.functional.layer_norm(torch.stack([means, -means], -1), (2,))
    hidden = torch.nn.functional.gelu(normed)
    expected = torch.nn.functional.silu(hidden) * hidden
    tokens = connector(features)[0]
    assert torch.allclose(tokens[1:-1], expected, atol=1e-9)
    assert tokens[0].tolist() == [5, 5]
    assert tokens[-1].tolist() == [6, 6]
    assert connector.num_visual_tokens(16) == len(tokens) == 6
    assert ConvGluConnector(1, 2, factor=1).num_visual_tokens(16) == 18
    for patches in (15, 9):
        with pytest.raises(ConfigError, match="no square grid"):
            connector.num_visual_tokens(patches)
    with pytest.raises(ConfigError, match="factor"):
        ConvGluConnector(1, 2, factor=0)


def test_gradient_reaches_every_parameter_of_the_connector():
    connector = ConvGluConnector(3, 4).double()
    connector(torch.randn(2, 4, 3, dtype=torch.float64)).square().sum().backward()
    connector.init_weights()
    connector(torch.randn(2, 4, 3, dtype=torch.float64)).sum().backward()
    assert [n for n, p in connector.named_parameters() if p.grad is None or not p.grad.abs().sum()] == []
