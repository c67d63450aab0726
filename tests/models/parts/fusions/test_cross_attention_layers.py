"""Llama 3.2 Vision's encoder and fusion beyond parity: rows, steps, faults, published sizes."""

import pytest
import torch
from transformers import MllamaConfig, MllamaForConditionalGeneration

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.models.inputs import VisualInputs, select_rows
from geoprose.systems.build import build_meta_model, build_system
from geoprose.systems.presets import load_preset
from tests.fixtures.systems import conversation, picture, tiny_system


@pytest.fixture(scope="module")
def system():
    return tiny_system("llama-3.2-vision")


def _batch(system, *rows, question="Where?"):
    """Rows of pictures (seed, size) to inputs."""
    prompts = [
        system.processor.encode_prompt(conversation(question, None, len(row)), [(1,)] * len(row)) for row in rows
    ]
    batch = dict(system.processor.pad_prompts(prompts))
    pictures = [picture(seed, size) for row in rows for seed, size in row]
    if pictures:
        batch |= system.processor.image_processor(pictures, return_tensors="pt")
        batch["pixel_values"] = batch["pixel_values"].double()
    return batch


_ONE, _WIDE = (1, (48, 48)), (2, (200, 60))


@torch.no_grad()
def test_rows_do_not_disturb_each_other(system):
    """Unlike in transformers, where a row with fewer pictures is filled up with pictures of zeros."""
    rows = ([_ONE], [_WIDE, _ONE], [])
    together = system.model(**_batch(system, *rows)).logits[:, -1]
    for row, logits in zip(rows, together, strict=True):
        assert torch.allclose(system.model(**_batch(system, row)).logits[0, -1], logits, atol=1e-9)


@torch.no_grad()
def test_cached_rows_can_be_selected(system):
    batch = _batch(system, [_ONE], [_WIDE])
    last = batch["input_ids"][:, -1:]
    short = {**batch, "input_ids": batch["input_ids"][:, :-1], "attention_mask": batch["attention_mask"][:, :-1]}
    cache = system.model(**short, use_cache=True).past_key_values
    select_rows(cache, torch.tensor([1, 1, 0]))
    steps = system.model(input_ids=last[[1, 1, 0]], past_key_values=cache).logits[:, -1]
    assert torch.allclose(steps, system.model(**batch).logits[[1, 1, 0], -1], atol=1e-9)


@torch.no_grad()
def test_generation_ways_agree(system):
    batch = _batch(system, [_ONE], [_WIDE])
    settings = {"do_sample": False, "max_new_tokens": 4, "eos_token_id": None, "pad_token_id": 0}
    assert torch.equal(
        system.model.generate(**batch, **settings), system.model.generate(**batch, **settings, use_cache=False)
    )
    features = system.model.model.vision_encoder.encode(
        VisualInputs(pixel_values=batch["pixel_values"], visual_layouts=batch["visual_layouts"])
    )
    settings |= {"num_beams": 2, "num_return_sequences": 2}
    beams = system.model.generate(**batch, **settings)
    batch.pop("pixel_values")
    assert torch.equal(system.model.generate(**batch, vision_features=features, **settings), beams)


def test_gradient_reaches_every_parameter(system):
    system.model.zero_grad()
    batch = _batch(system, [_WIDE, _ONE])
    system.model(**batch, labels=batch["input_ids"]).loss.backward()
    missing = [n for n, p in system.model.named_parameters() if p.requires_grad and p.grad is None]
    system.model.zero_grad()
    assert missing == []


def test_faults_are_named(system):
    batch = _batch(system, [_ONE])
    encoder = system.model.model.vision_encoder
    with pytest.raises(ProcessingError, match="visual_layouts"):
        system.model(input_ids=batch["input_ids"], pixel_values=batch["pixel_values"])
    with pytest.raises(ProcessingError, match="call encode"):
        encoder(batch["pixel_values"])
    layouts = batch["visual_layouts"].clone()
    layouts[0, 1] = 2
    with pytest.raises(ProcessingError, match="describe 2 tiles but there are 1"):
        encoder.encode(VisualInputs(pixel_values=batch["pixel_values"], visual_layouts=layouts))
    layouts[0, 1:4] = torch.tensor([0, 1, 1])
    with pytest.raises(ProcessingError, match="no canvas of 0x1"):
        encoder.encode(VisualInputs(pixel_values=batch["pixel_values"], visual_layouts=layouts))
    with pytest.raises(ConfigError, match="intermediate_layers_indices"):
        build_system(load_preset("llama-3.2-vision", ["vision_encoder.pool=2"]), scale="tiny")
    with pytest.raises(ConfigError, match="no cross-attention layers of its own"):
        system.model.model.fusion.attach(torch.nn.Linear(2, 2))


def test_published_sizes():
    """10.67 billion parameters, as the released checkpoint; 1601 tokens per tile of 560 px, 6404 for four."""
    whole = build_meta_model("llama-3.2-vision")
    with torch.device("meta"):
        released = MllamaForConditionalGeneration(MllamaConfig(vision_config={"image_size": 560}))
    count = sum(p.numel() for p in whole.parameters())
    added_rows = whole.config.get_text_config().vocab_size - 128256
    assert count - 2 * added_rows * 4096 == sum(p.numel() for p in released.parameters()) == 10_670_220_835
    assert whole.model.num_visual_tokens == 1601
    assert whole.model.vision_encoder.num_slots * whole.model.num_visual_tokens == 6404
