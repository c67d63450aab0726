"""Qwen2-VL at published size, and its checkpoints in and out."""

import json

import pytest
import torch
from transformers import AutoModelForImageTextToText, Qwen2VLConfig
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from geoprose.core.errors import ProcessingError
from geoprose.layout.naive_dynamic import NaiveDynamicResolution
from geoprose.systems.build import build_meta_model
from geoprose.systems.cost import forward_flops, parameters_by_part, visual_tokens
from geoprose.systems.interop.qwen2_vl import RELEASED_VIDEO_TOKEN_ID, Qwen2VlReference, video_token_id
from geoprose.systems.presets import load_preset
from geoprose.systems.transfer import export_checkpoint, import_checkpoint
from geoprose.systems.verify import batch_of, scrambled_system

SIZES = (((48, 90),), ((40, 64), (112, 30)))


@pytest.fixture(scope="module")
def meta_model():
    return build_meta_model("qwen2-vl")


def test_parameters_are_the_published_ones(meta_model):
    parts = parameters_by_part(meta_model)
    rows = meta_model.get_input_embeddings().weight.shape[0] - 152064
    # model.safetensors.index.json of Qwen/Qwen2-VL-7B-Instruct: total_size 16,582,751,232 bytes of bfloat16; no row for
    # our own image token, which the released vocabulary has.
    assert 2 * (sum(parts.values()) - 2 * rows * 3584) == 16_582_751_232
    # arXiv:2409.12191 table 1: vision encoder 675M, merger included.
    assert round((parts["vision_encoder"] + parts["connector"]) / 1e6, 1) == 675.8


@pytest.mark.parametrize(
    ("size", "tokens"),
    [((224, 224), 64), ((28, 28), 4), ((448, 448), 256), ((1036, 1036), 1225), ((4000, 3000), 1230), ((640, 480), 391)],
)
def test_visual_tokens(meta_model, size, tokens):
    # Section 2.1 of the paper: 224x224 gives 66 tokens, its two markers included. The others by hand: sides over 28,
    # rounded, at least 4 and at most 1280 tokens.
    spec = load_preset("qwen2-vl")
    assert visual_tokens(spec, meta_model, *size) == tokens
    assert Qwen2VLImageProcessorPil().get_number_of_image_patches(size[1], size[0]) == 4 * tokens


def test_video_tokens():
    # 16 frames of 1280x720, at most 768 cells of 28 px: sides shrink by 1.237 to 36.9 x 20.8 cells, in eight steps.
    layout = NaiveDynamicResolution().plan_video(16, 1280, 720).layout
    assert (layout.frames, layout.rows, layout.columns) == (8, 20, 36)
    assert layout.num_tiles == 5760


def test_flops_are_counted_without_data(meta_model):
    # By hand: 64 tokens from 256 patches; per block qkv, output, two MLP layers (4E), and attention; then the merger.
    flops = forward_flops(load_preset("qwen2-vl"), meta_model, (224, 224), text_tokens=10)
    width, patches = 1280, 256
    block = 2 * patches * (3 + 1 + 8) * width**2 + 4 * patches**2 * width
    merger = 2 * 64 * ((4 * width) ** 2 + 4 * width * 3584)
    embedding = 2 * patches * 1176 * width
    assert flops["vision"] == 32 * block + merger + embedding


@pytest.fixture(scope="module")
def system():
    built = scrambled_system("qwen2-vl")
    built.model.float()
    return built


@torch.no_grad()
def _logits(system):
    return system.model(**batch_of(system, SIZES)).logits


def test_checkpoints_go_out_and_come_back(system, tmp_path):
    exported = export_checkpoint(system, tmp_path / "released")
    theirs = AutoModelForImageTextToText.from_pretrained(exported, dtype=torch.float32)
    assert type(theirs).__name__ == "Qwen2VLForConditionalGeneration"
    reference = Qwen2VlReference()
    reference.config(system.model.config)
    batch = batch_of(system, SIZES)
    kept = batch["attention_mask"].bool()
    with torch.no_grad():
        assert (theirs(**reference.inputs(batch)).logits - _logits(system))[kept].abs().max() < 1e-4
    preset = tmp_path / "tiny-qwen2-vl.yaml"
    preset.write_text(json.dumps(system.spec.model_dump(mode="json") | {"name": "tiny-qwen2-vl"}))
    imported = import_checkpoint(exported, str(preset))
    assert imported.left_out == ()
    for name, value in system.model.state_dict().items():
        assert torch.equal(imported.system.model.state_dict()[name], value), name
    assert torch.equal(_logits(imported.system), _logits(system))


def test_a_released_config_becomes_the_preset():
    theirs = Qwen2VLConfig(
        vision_config={"depth": 32, "embed_dim": 1280, "hidden_size": 1536, "num_heads": 16},
        text_config={"hidden_size": 1536, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}},
    )
    values = Qwen2VlReference().spec_values(theirs)
    assert values["resolution"] == {"image_size": 28, "patch_size": 14, "frames_per_step": 2}
    assert values["vision_encoder"]["config"]["hidden_size"] == 1280
    assert values["vision_encoder"]["config"]["num_hidden_layers"] == 32
    assert values["position"]["sections"] == [16, 24, 24]
    assert "mrope_section" not in values["language_model"]["config"]["rope_parameters"]


def test_the_token_of_videos_is_never_one_of_the_text():
    assert video_token_id(RELEASED_VIDEO_TOKEN_ID - 1, 152064) == RELEASED_VIDEO_TOKEN_ID
    assert video_token_id(9, 320) == 319


@torch.no_grad()
def test_bad_input_is_refused(system):
    batch = batch_of(system, SIZES)
    with pytest.raises(ProcessingError, match="patches"):
        system.model(**{**batch, "visual_layouts": batch["visual_layouts"][:-1]})
    layouts = batch["visual_layouts"][:1]
    first = {"pixel_values": batch["pixel_values"][: int(layouts[:, :3].prod())], "visual_layouts": layouts}
    with pytest.raises(ProcessingError, match="more than the 1 visuals"):
        system.model(**{**batch, **first})
    with pytest.raises(ProcessingError, match="visual_layouts"):
        system.model(**{name: value for name, value in batch.items() if name != "visual_layouts"})
