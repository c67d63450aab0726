"""NExT-GPT: the output head against stored outputs of the published code; requests, losses and generators.

How the numbers were made: tests/parity/goldens/make_next_gpt.py.
"""

import json
from pathlib import Path

import pytest
import torch
from transformers import LogitsProcessorList

from geoprose.core.errors import ProcessingError
from geoprose.core.types import Message
from geoprose.models.parts.heads.signals import (
    SignalHead,
    WholeSignals,
    generate_all,
    signal_conditions,
    signal_loss,
)
from geoprose.systems.build import build_meta_model, build_system
from geoprose.systems.interop.key_map import KeyMap
from geoprose.systems.interop.next_gpt import next_gpt_key_map, signal_head_rules
from geoprose.systems.load import load_system
from geoprose.systems.presets import load_preset
from geoprose.systems.save import save_system
from tests.fixtures.systems import randomise
from tests.parity.goldens.seeded import SIGNAL_SIZES, seeded_run, seeded_tensor

GOLDEN = json.loads((Path(__file__).parent / "goldens" / "next_gpt.json").read_text())


@pytest.fixture(scope="module")
def system():
    system = build_system("next-gpt", scale="tiny", dtype=torch.float64)
    randomise(system.model)
    return system


class Echo:
    """A toy generator: what it makes is the mean of its condition."""

    def generate(self, condition_QC):
        return condition_QC.mean().item()


def written(system, *names):
    """Token ids of a request and an answer that asks for each of ``names``, without spaces between signal tokens."""
    asked = "".join("".join(system.spec.signals[name].tokens()) + "\n" for name in names)
    messages = [Message("user", "Draw a field."), Message("assistant", f"Here: {asked}")]
    return torch.tensor([system.processor.encode_conversation(messages, []).input_ids])


def test_the_head_equals_the_published_one():
    sizes = {"hidden_size": 512, "num_layers": 4, "num_heads": 4}
    tokens = {"tokens": ["[A0]", "[A1]", "[A2]", "[A3]"], "token_ids": [1, 2, 3, 4]}
    options = {**sizes, **tokens, "output_tokens": SIGNAL_SIZES["output_tokens"], "output_size": 6}
    with torch.device("meta"):
        head = SignalHead(SIGNAL_SIZES["width"], options).eval()
    key_map = KeyMap(signal_head_rules())
    theirs = key_map.to_theirs(head.state_dict())
    state, _ = key_map.to_ours({name: seeded_run(name, value.shape, std=0.05) for name, value in theirs.items()})
    head.load_state_dict(state, strict=True, assign=True)
    shape = (2, SIGNAL_SIZES["signals"], SIGNAL_SIZES["width"])
    hidden, embeds = seeded_tensor("hidden", shape), seeded_tensor("embeds", shape)
    expected = torch.tensor(GOLDEN["conditions"], dtype=torch.float64)
    with torch.no_grad():
        assert float((head(hidden, embeds) - expected).abs().max()) < 1e-9
        assert float((head(hidden, embeds.flip(1)) - expected).abs().max()) > 1e-4
        head.decoder.layers[2].linear1.weight.copy_(head.decoder.layers[2].linear1.weight.flip(0))
        assert float((head(hidden, embeds) - expected).abs().max()) > 1e-4, "a permuted weight was not noticed"


def test_published_sizes():
    """4, 24 and 8 tokens ask for 77 x 768 (Stable Diffusion 1.5), 77 x 1024 (zeroscope) and 1 x 512 (AudioLDM)."""
    model = build_meta_model("next-gpt")
    heads = model.signal_heads
    assert {name: len(head.token_ids) for name, head in heads.items()} == {"image": 4, "video": 24, "audio": 8}
    shapes = {name: (head.queries.shape[1], head.output.out_features) for name, head in heads.items()}
    assert shapes == {"image": (77, 768), "video": (77, 1024), "audio": (1, 512)}
    assert {name: sum(p.numel() for p in head.parameters()) for name, head in heads.items()} == GOLDEN["parameters"]
    assert sum(p.numel() for p in model.model.connector.parameters()) == 1024 * 4096 + 4096
    signals = load_preset("next-gpt").signals
    assert [signals[name].tokens()[-1] for name in ("image", "video", "audio")] == ["[IMG3]", "[VID23]", "[AUD7]"]


def test_key_map_of_the_trained_parts_goes_both_ways(system):
    state = {
        name: value
        for name, value in system.model.state_dict().items()
        if name.startswith(("signal_heads.", "model.connector."))
    }
    theirs = next_gpt_key_map().to_theirs(state)
    assert "gen_text_hidden_fcs_video.0.tfm.decoder.norm.weight" in theirs
    assert "llama_proj.weight" in theirs
    back, left_out = next_gpt_key_map().to_ours(theirs)
    assert left_out == []
    assert set(back) == set(state)


@torch.no_grad()
def test_conditions_are_read_at_the_signal_tokens(system):
    """Hand-computed: the head of the hidden states at the run, plus the word embeddings of its tokens."""
    ids = written(system, "image", "audio", "image")
    conditions = signal_conditions(system.model, ids)
    assert {name: len(condition) for name, condition in conditions.items()} == {"image": 2, "video": 0, "audio": 1}
    hidden = system.model.model(input_ids=ids).last_hidden_state[0]
    head = system.model.signal_heads["image"]
    first = ids[0].tolist().index(head.token_ids[0])
    vectors = hidden[first : first + 4] + system.model.get_input_embeddings()(torch.tensor(head.token_ids))
    memory = head.encoder(head.input(vectors[None]))
    expected = head.output(head.decoder(head.queries, memory))
    assert torch.allclose(conditions["image"][:1], expected, atol=1e-12)
    other = signal_conditions(system.model, ids.where(ids != ids[0, 5], ids[0, 6]))
    assert float((other["image"] - conditions["image"]).abs().max()) > 1e-4, "the request does not matter"


def test_losses_by_hand():
    condition, target = torch.zeros(1, 2, 2), torch.tensor([[[3.0, 4.0], [0.0, 0.0]]])
    assert signal_loss(condition, target).item() == 25 / 4
    assert signal_loss(condition, target, "distance").item() == 5 / 2
    with pytest.raises(ProcessingError, match=r"shape \(1, 2, 2\) but the targets have \(2, 2\)"):
        signal_loss(condition, target[0])


def test_the_loss_reaches_head_language_model_and_signal_embeddings(system):
    ids = written(system, "image", "video", "audio")
    system.model.zero_grad()
    conditions = signal_conditions(system.model, ids)
    targets = {name: torch.ones_like(condition) for name, condition in conditions.items()}
    sum(signal_loss(conditions[name], targets[name]) for name in conditions).backward()
    for name, parameter in system.model.signal_heads.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name
    rows = system.model.get_input_embeddings().weight.grad.abs().sum(-1)
    assert all(rows[token] > 0 for head in system.model.signal_heads.values() for token in head.token_ids)
    system.model.zero_grad()


def test_generators_get_the_conditions_in_order(system):
    with torch.no_grad():
        conditions = signal_conditions(system.model, written(system, "image", "audio", "image"))
    made = generate_all(conditions, {"image": Echo(), "audio": Echo()})
    assert made["image"] == [condition.mean().item() for condition in conditions["image"]]
    assert len(made["audio"]) == 1
    assert made["video"] == []
    with pytest.raises(ProcessingError, match="asks for image but no generator"):
        generate_all(conditions, {"audio": Echo()})


@torch.no_grad()
def test_generation_writes_signals_whole(system):
    heads = system.model.signal_heads
    rule = WholeSignals(heads)
    first = heads["video"].token_ids[0]
    scores = torch.zeros(1, system.model.config.get_text_config().vocab_size, dtype=torch.float64)
    after = rule(torch.tensor([[5, first]]), scores)
    assert torch.isfinite(after).nonzero().tolist() == [[0, heads["video"].token_ids[1]]]
    free = rule(torch.tensor([[first, 5]]), scores)
    assert torch.isfinite(free)[0, [token for head in heads.values() for token in head.token_ids[1:]]].sum() == 0
    assert bool(torch.isfinite(free)[0, first])
    prompt = torch.tensor([system.processor.encode_prompt([Message("user", "Play.")], [])])
    prompt = torch.cat([prompt, torch.tensor([[heads["audio"].token_ids[0]]])], 1)
    settings = {"max_new_tokens": 9, "do_sample": False, "eos_token_id": None}
    out = system.model.generate(input_ids=prompt, logits_processor=LogitsProcessorList([rule]), **settings)
    assert out[0, prompt.shape[1] - 1 :][:8].tolist() == list(heads["audio"].token_ids)
    assert len(heads["audio"].find(out)) == 1


def test_broken_runs_are_refused(system):
    head = system.model.signal_heads["image"]
    with pytest.raises(ProcessingError, match=r"\[IMG0\] at place 1 without the 3 signal tokens"):
        head.find(torch.tensor([[7, head.token_ids[0], 7, 7, 7]]))
    with pytest.raises(ProcessingError, match="alone"):
        head.find(torch.tensor([[7, head.token_ids[2]]]))
    assert head.find(torch.tensor([[7, 8]])) == []
    with pytest.raises(ProcessingError, match="no signal tokens"):
        signal_conditions(build_system("demo", scale="tiny").model, torch.tensor([[7]]))


@torch.no_grad()
def test_saving_and_loading_changes_no_bit(system, tmp_path):
    loaded = load_system(save_system(system, tmp_path / "system"))
    ids = written(system, "image", "video", "audio")
    ours, theirs = signal_conditions(system.model, ids), signal_conditions(loaded.model, ids)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert loaded.spec.signals == system.spec.signals
