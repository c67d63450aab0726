"""Further modalities beside pictures: what reaches the language model, from where, and what is refused."""

import pytest
import torch

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.core.types import Message
from geoprose.systems.build import build_meta_model, build_system
from geoprose.systems.load import load_system
from geoprose.systems.presets import load_preset
from geoprose.systems.save import save_system
from tests.fixtures.systems import pixels_of, randomise

SHAPES = {
    "video": (2, 3, 2, 56, 56),
    "audio": (2, 1, 16, 26),
    "depth": (1, 32, 32),
    "thermal": (1, 32, 32),
    "imu": (6, 40),
}


def tiny(name):
    system = build_system(name, scale="tiny", dtype=torch.float64)
    randomise(system.model)
    return system


@pytest.fixture(scope="module")
def single():
    return tiny("imagebind-llm")


@pytest.fixture(scope="module")
def multi():
    return tiny("multi-branch")


def values(system, count=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        f"{modality}_values": torch.randn(count, *SHAPES[modality], generator=generator, dtype=torch.float64)
        for modality in system.spec.branches
    }


def text(system, images=1, answer=None):
    marks = "<image>" * images + "".join(f"{name} <{name}>" for name in system.spec.branches)
    messages = [Message("user", f"{marks} What is this?")]
    counts = [system.processor.num_visual_tokens] * images
    items = dict.fromkeys(system.spec.branches, 1)
    if answer is None:
        return torch.tensor([system.processor.encode_prompt(messages, counts, items)])
    return system.processor.encode_conversation([*messages, Message("assistant", answer)], counts, items)


def batch(system, seed=0):
    return {"input_ids": text(system), "pixel_values": pixels_of(system, 0), **values(system, seed=seed)}


@pytest.mark.parametrize("name", ["single", "multi"])
@torch.no_grad()
def test_each_modality_lies_at_its_own_placeholders(name, request):
    """Hand-computed: the same embeddings, written one token at a time, give the same hidden states."""
    system = request.getfixturevalue(name)
    backbone, inputs = system.model.model, batch(system)
    ids = inputs["input_ids"]
    embeds = backbone.get_input_embeddings()(ids).clone()
    shared = backbone.vision_encoder, backbone.connector
    features = {"<image>": shared[1](shared[0](inputs["pixel_values"]))}
    for modality, branch in backbone.branches.items():
        encoder, connector = branch.encoder or shared[0], branch.connector or shared[1]
        features[f"<{modality}>"] = connector(encoder(inputs[f"{modality}_values"]))
    for token, tokens_NVD in features.items():
        places = (ids[0] == system.processor.tokenizer.convert_tokens_to_ids(token)).nonzero()[:, 0].tolist()
        assert len(places) == tokens_NVD.shape[1]
        for place, vector in zip(places, tokens_NVD[0], strict=True):
            embeds[0, place] = vector
    expected = backbone.language_model(inputs_embeds=embeds).last_hidden_state
    assert torch.equal(backbone(**inputs).last_hidden_state, expected)


@pytest.mark.parametrize("name", ["single", "multi"])
@torch.no_grad()
def test_every_modality_matters(name, request):
    system = request.getfixturevalue(name)
    one, other = batch(system), batch(system, seed=1)
    logits = system.model(**one).logits
    for modality in system.spec.branches:
        changed = system.model(**{**one, f"{modality}_values": other[f"{modality}_values"]}).logits
        assert float((logits - changed).abs().max()) > 1e-3, modality


@pytest.mark.parametrize("name", ["single", "multi"])
def test_a_training_step_reaches_every_part(name, request):
    system = request.getfixturevalue(name)
    encoded = text(system, answer="A house.")
    inputs = {**batch(system), "input_ids": torch.tensor([encoded.input_ids])}
    system.model.zero_grad()
    system.model(**inputs, labels=torch.tensor([encoded.labels])).loss.backward()
    without = [
        key
        for key, parameter in system.model.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.abs().max() > 0)
    ]
    system.model.zero_grad()
    # Without a bias of its own a key shifts all scores of a query alike: its bias gets no gradient from the softmax.
    assert [key for key in without if not key.endswith("k_proj.bias")] == []


def test_single_branch_has_one_connector_and_multi_branch_one_for_each(single, multi):
    connectors = [key for key, _ in single.model.named_parameters() if ".connector." in key]
    assert connectors == ["model.connector.layers.0.weight", "model.connector.layers.0.bias"]
    owned = {
        key.split(".")[2] for key, _ in multi.model.named_parameters() if ".branches." in key and "connector" in key
    }
    assert owned == {"thermal", "depth", "audio"}


@pytest.mark.parametrize("name", ["single", "multi"])
@torch.no_grad()
def test_saving_and_loading_changes_no_bit(name, request, tmp_path):
    system = request.getfixturevalue(name)
    loaded = load_system(save_system(system, tmp_path / "system"))
    assert loaded.processor.branches == system.processor.branches
    state = loaded.model.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in system.model.state_dict().items())
    inputs = batch(system)
    assert torch.equal(system.model(**inputs).logits, loaded.model(**inputs).logits)
    frozen = {key for key, parameter in system.model.named_parameters() if not parameter.requires_grad}
    assert frozen == {key for key, parameter in loaded.model.named_parameters() if not parameter.requires_grad}


@pytest.mark.parametrize("name", ["single", "multi"])
@torch.no_grad()
def test_generation_is_the_same_with_and_without_a_cache(name, request):
    system = request.getfixturevalue(name)
    settings = {"max_new_tokens": 5, "do_sample": False, "eos_token_id": None}
    cached = system.model.generate(**batch(system), use_cache=True, **settings)
    assert torch.equal(cached, system.model.generate(**batch(system), use_cache=False, **settings))
    placeholders = {branch.token_id for branch in system.model.model.branches.values()}
    assert placeholders <= set(system.model.generation_config.suppress_tokens)


@torch.no_grad()
def test_rows_of_a_batch_keep_their_own_inputs(multi):
    ids = text(multi).repeat(2, 1)
    inputs = {"pixel_values": pixels_of(multi, 0, 1), **values(multi, count=2)}
    together = multi.model(input_ids=ids, **inputs).logits
    for row in range(2):
        alone = multi.model(input_ids=ids[:1], **{key: value[row : row + 1] for key, value in inputs.items()}).logits
        assert torch.allclose(together[row], alone[0], atol=1e-9)
    beams = multi.model.generate(input_ids=ids, **inputs, num_beams=2, max_new_tokens=3, eos_token_id=None)
    for row in range(2):
        own = {key: value[row : row + 1] for key, value in inputs.items()}
        alone = multi.model.generate(input_ids=ids[:1], **own, num_beams=2, max_new_tokens=3, eos_token_id=None)
        assert torch.equal(beams[row], alone[0])


@torch.no_grad()
def test_a_sound_alone_needs_no_picture(single):
    prompt = [Message("user", "<audio> What is this?")]
    ids = torch.tensor([single.processor.encode_prompt(prompt, [], {"audio": 1})])
    sound = values(single)["audio_values"]
    one = single.model(input_ids=ids, audio_values=sound).logits
    assert float((one - single.model(input_ids=ids, audio_values=-sound).logits).abs().max()) > 1e-3
    embeds = single.model.get_input_embeddings()(ids)
    assert torch.equal(single.model(inputs_embeds=embeds, audio_values=sound).logits, one)


def test_marks_and_inputs_must_match(single):
    encode = single.processor.encode_prompt
    sound = [Message("user", "<audio> What is this?")]
    with pytest.raises(ProcessingError, match="marks 1 inputs of audio with <audio> but 0 were given"):
        encode(sound, [])
    with pytest.raises(ProcessingError, match="marks 0 inputs of depth"):
        encode(sound, [], {"audio": 1, "depth": 1})
    with pytest.raises(ProcessingError, match="no branch for smell; it reads pictures, video, audio"):
        encode(sound, [], {"audio": 1, "smell": 1})
    with pytest.raises(ProcessingError, match="Only user messages may hold <audio>"):
        encode([Message("user", "Hi"), Message("assistant", "<audio>"), Message("user", "?")], [])


@torch.no_grad()
def test_placeholders_and_inputs_must_match(single, multi):
    ids = torch.tensor([single.processor.encode_prompt([Message("user", "<audio> Hm?")], [], {"audio": 1})])
    two = values(single, count=2)["audio_values"]
    with pytest.raises(ProcessingError, match="1 placeholders of audio but the 2 inputs"):
        single.model(input_ids=ids, audio_values=two)
    with pytest.raises(ProcessingError, match=r"placeholders of audio .* but no audio_values"):
        single.model(input_ids=ids)
    with pytest.raises(ProcessingError, match="no branch for imu; it reads pictures and thermal, depth, audio"):
        multi.model(input_ids=torch.tensor([[7]]), imu_values=two)
    with pytest.raises(ProcessingError, match="no branch for audio"):
        build_system("demo", scale="tiny").model(input_ids=ids, audio_values=two)
    with pytest.raises(ProcessingError, match=r"reads inputs of shape \(1, 16, 26\)"):
        single.model(input_ids=ids, audio_values=two[:1, :, :, :, 1:])


def test_specs_that_cannot_work_are_refused():
    with pytest.raises(ConfigError, match="Unknown modality 'smell'"):
        load_preset("imagebind-llm", ["branches.smell.token=<smell>"])
    with pytest.raises(ConfigError, match="is used twice"):
        load_preset("imagebind-llm", ["branches.video.token=<audio>"])
    narrow = load_preset("imagebind-llm", ["branches.audio.encoder.config.projection_dim=512"])
    with pytest.raises(ConfigError, match="shares the pictures' connector, which takes features of width 1024"):
        build_meta_model(narrow)


def test_no_branch_no_change():
    """A system without branches has no further module, no further token and no entry in its prompts."""
    system = build_system("demo", scale="tiny")
    assert system.model.model.branches is None
    assert system.model.signal_heads is None
    assert system.processor.branches == {}
    assert not [key for key in system.model.state_dict() if "branches" in key or "signal" in key]


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("imagebind-llm", {"video": 1, "audio": 1, "depth": 1, "thermal": 1, "imu": 1}),
        ("multi-branch", {"thermal": 196, "depth": 196, "audio": 1}),
    ],
)
def test_tokens_at_published_size(name, tokens):
    """A picture of ImageBind is one vector; depth and heat have 14 x 14 patches of 16 pixels."""
    backbone = build_meta_model(name).model
    assert {key: branch.num_tokens(backbone.pictures) for key, branch in backbone.branches.items()} == tokens
    assert backbone.num_visual_tokens == {"imagebind-llm": 1, "multi-branch": 576}[name]
    assert load_preset(name).num_visual_tokens() == {"imagebind-llm": None, "multi-branch": 576}[name]
