"""DeepSeek-VL2 against stored outputs of the published code (tests/parity/goldens/make_deepseek_vl2.py)."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from geoprose.layout.candidate_tiles import DeepseekVl2Arrangement
from geoprose.layout.visual import VisualLayout
from geoprose.processing.image_processor import GeoproseImageProcessor
from geoprose.systems.hf_config import hf_config
from geoprose.systems.interop.deepseek_vl2 import DeepseekVl2Layout
from geoprose.systems.kinds import kind_of
from geoprose.systems.presets import load_preset
from tests.parity.goldens.make_deepseek_vl2 import (
    IMAGE_SIZE,
    IMAGE_TOKEN,
    LANGUAGE,
    MAX_TILES,
    PIXEL_STEP,
    ROW_STEP,
    TEXT,
    TOWER,
    picture,
    published_weight,
)

GOLDEN = json.loads((Path(__file__).parent / "goldens" / "deepseek_vl2.json").read_text())["samples"]


@pytest.fixture(scope="module")
def spec():
    published = load_preset("deepseek-vl2")
    values = published.model_dump(mode="json")
    values["resolution"].update(image_size=IMAGE_SIZE, max_tiles=MAX_TILES)
    values["vision_encoder"]["config"].update(TOWER)
    values["language_model"]["config"].update(LANGUAGE, pad_token_id=0)
    return type(published).model_validate(values)


@pytest.fixture(scope="module")
def model(spec):
    built = kind_of(spec.kind).model_class()(hf_config(spec, IMAGE_TOKEN + 1, IMAGE_TOKEN, {})).double().eval()
    key_map = DeepseekVl2Layout().key_map(built.config)
    published = {
        name: published_weight(name, tensor.shape).reshape(tensor.shape)
        for name, tensor in key_map.to_theirs(built.state_dict()).items()
    }
    state, left_out = key_map.to_ours({**published, "vision.attn_pool.latent": torch.zeros(1, 1, 16)})
    assert left_out == ["vision.attn_pool.latent"]
    built.load_state_dict(state, strict=True)
    return built


@pytest.fixture(scope="module")
def image_processor(spec):
    resolution = spec.resolution
    return GeoproseImageProcessor(
        resolution.as_config(), resolution.resample, resolution.image_mean, resolution.image_std
    )


def _run(model, image_processor, golden):
    inputs = image_processor([[picture(tuple(size)) for size in golden["sizes"]]], return_tensors="pt")
    ids = [*TEXT[:2], *([IMAGE_TOKEN] * sum(golden["num_image_tokens"])), *TEXT[2:]]
    with torch.no_grad():
        outputs = model(
            input_ids=torch.tensor([ids]),
            pixel_values=inputs["pixel_values"].double(),
            visual_layouts=inputs["visual_layouts"],
        )
    return inputs, outputs


@pytest.mark.parametrize("golden", GOLDEN, ids=[f"{len(golden['sizes'])} pictures" for golden in GOLDEN])
def test_pixels_embeddings_and_logits_equal_the_published_code(golden, model, image_processor):
    inputs, outputs = _run(model, image_processor, golden)
    layouts = [VisualLayout(*row) for row in inputs["visual_layouts"].tolist()]
    assert [[layout.columns, layout.rows] for layout in layouts] == golden["crops"]
    counts = [DeepseekVl2Arrangement().segments(layout, model.model.num_visual_tokens)[0] for layout in layouts]
    assert counts == golden["num_image_tokens"]
    pixels = inputs["pixel_values"][:, :, ::PIXEL_STEP, ::PIXEL_STEP].numpy()
    np.testing.assert_allclose(pixels, golden["pixels"], atol=3e-6)
    runs = outputs.image_hidden_states
    assert [len(run) for run in runs] == counts
    np.testing.assert_allclose(torch.cat(runs)[::ROW_STEP].numpy(), golden["embeddings"], atol=2e-6)
    np.testing.assert_allclose(outputs.logits[0, -1].numpy(), golden["logits"], atol=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        "model.packer.newline",
        "model.connector.layers.0.weight",
        "model.language_model.layers.1.mlp.experts.gate_up_proj",
        "model.language_model.layers.0.self_attn.kv_b_proj.weight",
    ],
)
def test_negative_control_one_permuted_weight_is_noticed(name, model, image_processor):
    weight = model.get_parameter(name)
    original = weight.detach().clone()
    with torch.no_grad():
        weight.copy_(original.flip(-1))
    _, outputs = _run(model, image_processor, GOLDEN[0])
    with torch.no_grad():
        weight.copy_(original)
    assert np.abs(outputs.logits[0, -1].numpy() - GOLDEN[0]["logits"]).max() > 1e-3
