"""EM-VLM4AD against stored outputs of the published code, and hand-computed cases of its gates.

How the numbers were made: tests/parity/goldens/make_em_vlm4ad.py.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import T5Config, ViTConfig

from geoprose.core.errors import ProcessingError
from geoprose.core.types import Message
from geoprose.layout.arrangements import ARRANGEMENTS
from geoprose.layout.views import ViewsResolution
from geoprose.layout.visual import VisualLayout
from geoprose.models.parts.packers.gated_views import GatedViewsPacker
from geoprose.models.seq2seq import GeoproseForSeq2Seq
from geoprose.models.seq2seq_config import GeoproseSeq2SeqConfig
from geoprose.processing.visuals import Video
from geoprose.systems.build import build_system
from geoprose.systems.presets import load_preset
from tests.parity.goldens.seeded import seeded_tensor

GOLDEN = json.loads((Path(__file__).parent / "goldens" / "em_vlm4ad.json").read_text())
IMAGE_TOKEN = 39
NAMES = (
    ("model.lm_head", "lm_head"),
    ("model.", "model.language_model."),
    ("mvp.img_model.conv_proj", "model.vision_encoder.tower.embeddings.patch_embeddings.projection"),
    ("mvp.img_model.class_token", "model.vision_encoder.tower.embeddings.cls_token"),
    ("mvp.img_model.encoder.pos_embedding", "model.vision_encoder.tower.embeddings.position_embeddings"),
    ("mvp.modal_embeddings", "model.fusion.modal_types"),
    ("mvp.Z.0", "model.packer.content"),
    ("mvp.G.0", "model.packer.gate"),
    ("mvp.w", "model.packer.score"),
)


def our_name(name):
    theirs, ours = next(pair for pair in NAMES if name.startswith(pair[0]))
    return ours + name.removeprefix(theirs)


def seeded_model():
    """Our composite as the preset composes it, at the sizes and with the weights of the stored outputs."""
    parts = load_preset("em-vlm4ad", ["packer.tokens_per_view=4", "packer.hidden_size=6"]).config_values()
    config = GeoproseSeq2SeqConfig(
        vision_config=ViTConfig(
            hidden_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=48,
            image_size=64,
            patch_size=32,
        ),
        text_config=T5Config(
            vocab_size=40, d_model=24, d_kv=6, d_ff=32, num_layers=2, num_heads=4, tie_word_embeddings=True
        ),
        **parts,
        image_token_id=IMAGE_TOKEN,
    )
    model = GeoproseForSeq2Seq(config).double().eval()
    state = {our_name(name): seeded_tensor(name, shape) for name, shape in GOLDEN["shapes"].items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert unexpected == []
    tied = set(model.all_tied_weights_keys)
    assert {name for name in missing if name not in tied} == {
        "model.vision_encoder.tower.layernorm.weight",
        "model.vision_encoder.tower.layernorm.bias",
    }
    return model


def golden_batch():
    """The views of both rows, and the question with the placeholders behind it."""
    views = seeded_tensor("views", (2, 6, 3, 64, 64), std=1.0)
    text = torch.tensor(GOLDEN["text"])
    return {
        "input_ids": torch.cat([text, torch.full((2, 4), IMAGE_TOKEN)], dim=1),
        "pixel_values": views.flatten(0, 1),
        "visual_layouts": torch.tensor([[6, 1, 1, 0, 64, 64]] * 2),
        "labels": torch.tensor(GOLDEN["answer"]),
    }


@torch.no_grad()
def test_logits_equal_those_of_the_published_code():
    model, batch = seeded_model(), golden_batch()
    output = model(**batch)
    expected = torch.tensor(GOLDEN["logits"], dtype=torch.float64)
    assert (output.logits - expected).abs().max() < 1e-5
    assert float(output.loss) == pytest.approx(GOLDEN["loss"], abs=1e-5)
    batch["pixel_values"] = batch["pixel_values"].flip(0)
    assert (model(**batch).logits - expected).abs().max() > 1e-3
    model.model.fusion.modal_types.weight.copy_(model.model.fusion.modal_types.weight.flip(0))
    assert (model(**golden_batch()).logits - expected).abs().max() > 1e-3


def test_gradient_reaches_every_weight_that_is_read():
    model = seeded_model()
    model(**golden_batch()).loss.backward()
    frozen = {f"model.vision_encoder.{name}" for name in model.model.vision_encoder.unused_parameter_names()}
    for name, weight in model.named_parameters():
        has_gradient = weight.grad is not None and bool((weight.grad != 0).any())
        # A bias of the score shifts all views alike, which the softmax over views undoes.
        assert has_gradient == (name not in frozen and name != "model.packer.score.bias"), name


def test_gates_weigh_the_views():
    """Hand-computed: with a zero score all views weigh the same; with a decisive one a single view is left."""
    packer = GatedViewsPacker(2, tokens_per_view=3, hidden_size=1)
    views = torch.arange(24.0).reshape(4, 3, 2)
    layouts = [VisualLayout(frames=3), VisualLayout()]
    with torch.no_grad():
        packer.score.weight.zero_()
        pooled = packer(views, layouts)
        assert torch.allclose(pooled[0], views[:3].mean(0))
        assert torch.allclose(pooled[1], views[3])
        packer.score.weight.fill_(1000.0)
        packer.content.weight.copy_(torch.tensor([[0.0, 0.0, 0.0, 0.0, 0.0, 0.05]]))
        packer.gate.weight.zero_()
        assert torch.allclose(packer(views, layouts)[0], views[2], atol=1e-4)


def test_arrangement_counts_what_the_packer_makes():
    layouts = [VisualLayout(frames=frames) for frames in (1, 2, 6)]
    tokens = torch.randn(9, 5, 2)
    packed = GatedViewsPacker(2, tokens_per_view=5, hidden_size=4)(tokens, layouts)
    arrangement = ARRANGEMENTS.get("gated_views")(tokens_per_view=5, hidden_size=4)
    assert [len(run) for run in packed] == [sum(arrangement.segments(layout, 5)) for layout in layouts] == [5, 5, 5]
    with pytest.raises(ProcessingError, match="made for 4 tokens"):
        GatedViewsPacker(2, tokens_per_view=4, hidden_size=4)(tokens, layouts)


def test_views_are_one_visual():
    resolution = ViewsResolution(224)
    assert resolution.plan(640, 480).layout == VisualLayout(height_px=480, width_px=640)
    plan = resolution.plan_video(6, 640, 480)
    assert plan.layout == VisualLayout(frames=6, height_px=480, width_px=640)
    assert plan.layout.num_tiles == 6
    assert len(plan.tiles) == 1


@torch.no_grad()
def test_the_whole_system_answers_about_six_cameras():
    system = build_system("em-vlm4ad", scale="tiny", dtype=torch.float64)
    processor = system.processor
    rng = np.random.default_rng(0)
    cameras = [Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)) for _ in range(6)]
    pixels = processor.image_processor([Video(cameras)], return_tensors="pt")
    assert pixels["pixel_values"].shape == (6, 3, 128, 128)
    prompt = processor.encode_prompt([Message("user", "Where?<image>")], [16])
    batch = {**processor.pad_prompts([prompt]), **pixels}
    batch["pixel_values"] = batch["pixel_values"].double()
    assert processor.tokenizer.decode(prompt).startswith("Question: Where? Answer:</s><image>")
    answer = system.model.generate(**batch, max_new_tokens=4, eos_token_id=None)
    assert answer.shape == (1, 5)
    both = system.model.generate(**batch, max_new_tokens=4, eos_token_id=None, num_beams=2, num_return_sequences=2)
    assert both.shape == (2, 5)
