"""Phi-3-Vision against stored outputs of the published code (tests/parity/goldens/make_phi3_vision.py)."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.core.types import Message
from geoprose.layout.arrangements import ARRANGEMENTS, num_tokens
from geoprose.layout.phi3_hd import Phi3HdArrangement, Phi3HdResolution
from geoprose.layout.visual import VisualLayout
from geoprose.models.parts.connectors.separated import SeparatedMlpConnector
from geoprose.models.parts.packers.phi3_hd import Phi3HdPacker
from geoprose.processing.image_processor import GeoproseImageProcessor
from geoprose.systems.build import build_system
from geoprose.systems.hf_config import hf_config
from geoprose.systems.interop.phi3_vision import Phi3VisionLayout
from geoprose.systems.kinds import kind_of
from geoprose.systems.presets import load_preset
from tests.parity.goldens.make_phi3_vision import (
    CLIP,
    LANGUAGE,
    NUM_CROPS,
    PIXEL_STEP,
    ROW_STEP,
    TEXT,
    our_name,
    picture,
)
from tests.parity.goldens.seeded import seeded_tensor

GOLDEN = json.loads((Path(__file__).parent / "goldens" / "phi3_vision.json").read_text())["pictures"]
IMAGE_TOKEN = 63
EYE = "model.vision_embed_tokens."


@pytest.fixture(scope="module")
def spec():
    published = load_preset("phi-3-vision")
    values = published.model_dump(mode="json")
    values["resolution"]["max_tiles"] = NUM_CROPS
    values["vision_encoder"]["config"].update(CLIP)
    values["vision_encoder"]["config"].pop("projection_dim")
    values["language_model"]["config"].update(LANGUAGE)
    return type(published).model_validate(values)


@pytest.fixture(scope="module")
def model(spec):
    built = kind_of(spec.kind).model_class()(hf_config(spec, IMAGE_TOKEN + 1, IMAGE_TOKEN, {})).double().eval()
    key_map = Phi3VisionLayout().key_map(built.config)
    published = {name: _drawn(name, tensor.shape) for name, tensor in key_map.to_theirs(built.state_dict()).items()}
    state, left_out = key_map.to_ours(published)
    assert left_out == []
    built.load_state_dict(state, strict=True)
    return built


def _drawn(name, shape):
    """Return a published weight as the maker drew it: from our name of the same weight."""
    if name.startswith(EYE):
        # The release was written when CLIPVisionModel held its parts one level deeper.
        ours = our_name(name.removeprefix(EYE).replace("vision_model.", ""))
    else:
        ours = name if name.startswith("lm_head") else name.replace("model.", "model.language_model.", 1)
    return seeded_tensor(ours, [shape.numel()]).reshape(shape)


@pytest.fixture(scope="module")
def image_processor(spec):
    resolution = spec.resolution
    return GeoproseImageProcessor(
        resolution.as_config(), resolution.resample, resolution.image_mean, resolution.image_std
    )


@pytest.mark.parametrize("golden", GOLDEN, ids=[str(golden["size"]) for golden in GOLDEN])
def test_pixels_embeddings_and_logits_equal_the_published_code(golden, model, image_processor):
    inputs = image_processor(picture(tuple(golden["size"])), return_tensors="pt")
    pixels = inputs["pixel_values"]
    assert len(pixels) == golden["tiles"]
    np.testing.assert_allclose(pixels[:, :, ::PIXEL_STEP, ::PIXEL_STEP].numpy(), golden["pixels"], atol=3e-6)
    count = golden["num_image_tokens"]
    ids = torch.tensor([[*TEXT[:2], *([IMAGE_TOKEN] * count), *TEXT[2:]]])
    with torch.no_grad():
        outputs = model(input_ids=ids, pixel_values=pixels.double(), visual_layouts=inputs["visual_layouts"])
    (run,) = outputs.image_hidden_states
    assert (
        len(run) == count == num_tokens(Phi3HdArrangement(), VisualLayout(*inputs["visual_layouts"][0].tolist()), 146)
    )
    np.testing.assert_allclose(run[::ROW_STEP].numpy(), golden["embeddings"], atol=2e-6)
    np.testing.assert_allclose(outputs.logits[0, -1].numpy(), golden["logits"], atol=1e-5)


def test_a_permuted_weight_is_noticed(model, image_processor):
    golden = GOLDEN[1]
    inputs = image_processor(picture(tuple(golden["size"])), return_tensors="pt")
    ids = torch.tensor([[*TEXT[:2], *([IMAGE_TOKEN] * golden["num_image_tokens"]), *TEXT[2:]]])
    separator = model.model.connector.row_separator
    with torch.no_grad():
        original = separator.clone()
        separator.copy_(original.flip(0))
        logits = model(
            input_ids=ids, pixel_values=inputs["pixel_values"].double(), visual_layouts=inputs["visual_layouts"]
        ).logits
        separator.copy_(original)
    assert float(np.abs(logits[0, -1].numpy() - golden["logits"]).max()) > 1e-3


@pytest.mark.parametrize(
    ("size", "grid"), [((500, 420), (2, 2)), ((130, 350), (2, 1)), ((700, 170), (1, 4)), ((1, 1), (2, 2))]
)
def test_grids_by_hand(size, grid):
    layout = Phi3HdResolution(336, 4).plan(*size).layout
    assert (layout.rows, layout.columns) == grid
    h, w = grid
    assert Phi3HdArrangement().segments(layout, 146) == ((h * w + 1) * 144 + 1 + (h + 1) * 12,)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 16), st.integers(1, 5))
def test_packer_gives_what_its_arrangement_counts(width_px, height_px, max_tiles, side):
    resolution = Phi3HdResolution(16, max_tiles)
    try:
        plan = resolution.plan(width_px, height_px)
    except ProcessingError:
        assert max(width_px, height_px) > 16 * min(width_px, height_px)
        return
    layout = plan.layout
    assert layout.num_tiles == len(plan.tiles) <= max_tiles + 1
    middle = plan.whole.to_model(width_px / 2, height_px / 2)
    assert middle == pytest.approx((8, 8), abs=0.51)
    tokens = torch.randn(layout.num_tiles, side**2 + 2, 3)
    (run,) = Phi3HdPacker(3)(tokens, [layout])
    assert len(run) == num_tokens(ARRANGEMENTS.get("phi3_hd")(), layout, side**2 + 2)


def test_separators_stand_between_rows_and_views():
    layout = VisualLayout(rows=1, columns=2, thumbnail=1)
    tokens = torch.tensor(
        [[[1.0], [2], [3], [4], [-1], [-2]], [[5], [6], [7], [8], [-1], [-2]], [[9], [10], [11], [12], [-1], [-2]]]
    )
    (run,) = Phi3HdPacker(1)(tokens, [layout])
    assert run.flatten().tolist() == [5, 6, 9, 10, -1, 7, 8, 11, 12, -1, -2, 1, 2, -1, 3, 4, -1]
    (alone,) = Phi3HdPacker(1)(tokens[:1], [VisualLayout()])
    assert alone.flatten().tolist() == [1, 2, -1, 3, 4, -1]


def test_gradient_reaches_every_parameter_of_the_connector():
    connector = SeparatedMlpConnector(4, 6).double()
    assert connector.num_visual_tokens(16) == 6
    with torch.no_grad():
        for parameter in connector.parameters():
            parameter.normal_()
    layout = VisualLayout(rows=1, columns=2, thumbnail=1)
    (run,) = Phi3HdPacker(6)(connector(torch.randn(3, 16, 4, dtype=torch.float64)), [layout])
    (run * torch.randn_like(run)).sum().backward()
    assert all(bool((parameter.grad != 0).any()) for parameter in connector.parameters())
    connector.init_weights()
    assert not connector.row_separator.any()
    assert not connector.view_separator.any()


def test_the_tiny_system_runs_and_bad_input_is_refused():
    system = build_system("phi-3-vision", scale="tiny")
    processor = system.processor
    sizes = [(300, 40), (64, 64)]
    prompts = [
        processor.encode_prompt([Message("user", "<image>\nWhere?")], [processor.num_image_tokens(*size)])
        for size in sizes
    ]
    pixels = processor.image_processor([picture(size) for size in sizes], return_tensors="pt")
    with torch.no_grad():
        assert bool(torch.isfinite(system.model(**processor.pad_prompts(prompts), **pixels).logits).all())
    with pytest.raises(ProcessingError, match="image placeholders but the pictures gave"):
        system.model(**processor.pad_prompts(prompts[:1]), **pixels)
    with pytest.raises(ProcessingError, match="too narrow"):
        processor.num_image_tokens(9000, 1)
    with pytest.raises(ProcessingError, match="no pixels"):
        processor.num_image_tokens(0, 1)
    with pytest.raises(ConfigError, match="must be 1 or more"):
        Phi3HdResolution(336, 0)
    with pytest.raises(ConfigError, match="no square"):
        Phi3HdPacker(3)(torch.zeros(2, 9, 3), [VisualLayout(thumbnail=1)])
