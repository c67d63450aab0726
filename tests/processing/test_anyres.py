"""Pixels and token counts of LLaVA-NeXT and LLaVA-OneVision equal those of the published processors."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.llava_next.processing_llava_next import LlavaNextProcessor
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import LlavaOnevisionImageProcessorPil
from transformers.models.llava_onevision.processing_llava_onevision import LlavaOnevisionProcessor
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from geoprose.core.errors import ProcessingError
from geoprose.core.types import Message
from geoprose.layout.anyres import LLAVA_NEXT_GRIDS
from geoprose.layout.onevision import OnevisionResolution
from geoprose.processing.image_processor import GeoproseImageProcessor
from geoprose.processing.visuals import Video
from geoprose.systems.build import build_system
from geoprose.systems.presets import load_preset
from geoprose.systems.tiny import tiny_tokenizer
from tests.fixtures.systems import picture

SIDE = 28
PRESETS = {name: load_preset(name) for name in ("llava-next", "llava-onevision")}
TINY = {name: build_system(name, scale="tiny") for name in PRESETS}
pictures = st.tuples(st.integers(1, 200), st.integers(1, 200))


def _ours(name, side=SIDE):
    resolution = PRESETS[name].resolution
    options = {**resolution.as_config(), "image_size": side}
    return GeoproseImageProcessor(options, resolution.resample, resolution.image_mean, resolution.image_std)


def _theirs(name, side=SIDE):
    resolution = PRESETS[name].resolution
    grids = LLAVA_NEXT_GRIDS if name == "llava-next" else OnevisionResolution(side).grids
    values = {
        "image_grid_pinpoints": [[rows * side, columns * side] for rows, columns in grids],
        "image_mean": list(resolution.image_mean),
        "image_std": list(resolution.image_std),
    }
    square = {"height": side, "width": side}
    if name == "llava-next":
        return LlavaNextImageProcessorPil(size={"shortest_edge": side}, crop_size=square, **values)
    return LlavaOnevisionImageProcessorPil(size=square, **values)


def _published(name):
    """The published processor at full size; its tokenizer plays no part in the counts."""
    tokenizer = tiny_tokenizer()
    if name == "llava-next":
        return LlavaNextProcessor(
            _theirs(name, 336), tokenizer, 14, vision_feature_select_strategy="default", num_additional_image_tokens=1
        )
    processor = LlavaOnevisionProcessor.__new__(LlavaOnevisionProcessor)
    processor.image_processor, processor.num_image_tokens = _theirs(name, 384), 729
    processor.vision_feature_select_strategy, processor.vision_aspect_ratio = "full", "anyres_max_9"
    return processor


def _count(processor, width_px, height_px):
    side = 336 if isinstance(processor, LlavaNextProcessor) else 384
    count = processor._get_number_of_features(height_px, width_px, side, side)
    return count - (processor.vision_feature_select_strategy == "default")


@settings(max_examples=25, deadline=None)
@given(st.lists(pictures, min_size=1, max_size=3), st.sampled_from(list(PRESETS)))
def test_pixels_equal_the_published_processor(sizes, name):
    images = [picture(seed, size) for seed, size in enumerate(sizes)]
    ours = _ours(name)(images, return_tensors="np")
    theirs = _theirs(name)(images, return_tensors="np")
    counts = [int(np.prod(row[1:3])) + int(row[3]) for row in ours["visual_layouts"]]
    expected = np.concatenate([tiles[:count] for tiles, count in zip(theirs["pixel_values"], counts, strict=True)])
    assert all(not tiles[count:].any() for tiles, count in zip(theirs["pixel_values"], counts, strict=True))
    np.testing.assert_allclose(ours["pixel_values"], expected, atol=2e-6)
    assert ours["visual_layouts"][:, 4:].tolist() == np.array(theirs["image_sizes"]).tolist()


@settings(max_examples=10, deadline=None)
@given(st.lists(pictures, min_size=2, max_size=3))
def test_several_pictures_of_a_sample_equal_the_published_processor(sizes):
    images = [picture(seed, size) for seed, size in enumerate(sizes)]
    rows = [images, [images[0]]]
    ours = _ours("llava-onevision")(rows, return_tensors="np")
    theirs = _theirs("llava-onevision")(rows, return_tensors="np")
    expected = [tiles[:1] for tiles in theirs["pixel_values"][:-1]]
    alone = int(ours["visual_layouts"][-1, 1:3].prod()) + 1
    np.testing.assert_allclose(
        ours["pixel_values"], np.concatenate([*expected, theirs["pixel_values"][-1][:alone]]), atol=2e-6
    )
    assert ours["visual_layouts"][:, 3].tolist() == [0] * len(images) + [1]


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 4000), st.integers(1, 4000), st.sampled_from(list(PRESETS)))
def test_token_counts_equal_the_published_processor(width_px, height_px, name):
    spec = PRESETS[name]
    processor = TINY[name].processor
    plan = _ours(name, spec.resolution.image_size).plan(width_px, height_px)
    full = type(processor)(
        processor.image_processor,
        processor.tokenizer,
        prompt=processor.prompt,
        packer=processor.packer,
        num_visual_tokens=spec.num_visual_tokens(),
    )
    assert sum(full.image_segments(plan.layout)) == _count(PUBLISHED[name], width_px, height_px)


PUBLISHED = {name: _published(name) for name in PRESETS}


def test_video_frames_are_stretched_to_one_tile_each():
    frames = [picture(seed, (64, 48)) for seed in range(3)]
    ours = _ours("llava-onevision")(Video(frames), return_tensors="np")
    theirs = SiglipImageProcessorPil(
        size={"height": SIDE, "width": SIDE},
        resample=Image.Resampling.BICUBIC,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )(frames, return_tensors="np")
    np.testing.assert_allclose(ours["pixel_values"], theirs["pixel_values"], atol=2e-6)
    assert ours["visual_layouts"].tolist() == [[3, 0, 0, 1, 48, 64]]


def test_a_call_counts_pictures_and_videos_alike():
    system = TINY["llava-onevision"]
    video = Video([picture(seed, (30, 20)) for seed in range(2)])
    text = ["<image>\n<image>\nWhat moves?", "<image>\nWhere?"]
    batch = system.processor(
        images=[[picture(3, (90, 40)), video], [picture(4, (70, 200))]], text=text, padding=True, return_tensors="pt"
    )
    placeholders = (batch["input_ids"] == system.processor.image_token_id).sum(-1).tolist()
    counts = [sum(system.processor.image_segments(plan.layout)) for plan in (
        *system.processor.image_processor.plan_sample([(90, 40), (30, 20, 2)]),
        system.processor.image_processor.plan(70, 200),
    )]  # fmt: skip
    assert counts[1] == 2 * 9 + 1, "five tokens along an edge, three after pooling"
    assert placeholders == [counts[0] + counts[1], counts[2]]
    with torch.no_grad():
        assert bool(torch.isfinite(system.model(**batch).logits).all())


def test_pictures_of_many_sizes_make_one_batch():
    for name, system in TINY.items():
        sizes = [(300, 40), (40, 300), (64, 64), (5, 5)]
        processor = system.processor
        prompts = [
            processor.encode_prompt([Message("user", "<image>\nWhere?")], [processor.num_image_tokens(*size)])
            for size in sizes
        ]
        batch = {**processor.pad_prompts(prompts)}
        batch |= processor.image_processor([picture(1, size) for size in sizes], return_tensors="pt")
        with torch.no_grad():
            logits = system.model(**batch).logits
            alone = system.model(
                input_ids=torch.tensor([prompts[0]]),
                **processor.image_processor(picture(1, sizes[0]), return_tensors="pt"),
            ).logits
        assert bool(torch.isfinite(logits).all()), name
        torch.testing.assert_close(logits[0, -1], alone[0, -1], atol=1e-4, rtol=1e-4)


def test_wrong_inputs_say_what_is_wrong():
    system = TINY["llava-next"]
    processor = system.processor
    with pytest.raises(ProcessingError, match="not videos"):
        processor.image_processor(Video([picture(0)]))
    with pytest.raises(ProcessingError, match="Give videos among the images"):
        processor(text="Hm?", videos=[[picture(0)]])
    onevision = TINY["llava-onevision"].processor
    with pytest.raises(ProcessingError, match="must have one size"):
        onevision.image_processor(Video([picture(0), picture(1, (30, 40))]))
    with pytest.raises(ProcessingError, match="at least one"):
        onevision.image_processor(Video([]))
    with pytest.raises(ValueError, match="Found total 2"):
        processor(images=[picture(0)], text=["<image> and <image>"])
    # Text made for a small picture, pixels of a wide one.
    ids = processor.encode_prompt([Message("user", "<image>\nWhere?")], [processor.num_image_tokens(48, 48)])
    pixels = processor.image_processor(picture(0, (400, 60)), return_tensors="pt")
    with pytest.raises(ProcessingError, match="image placeholders but the pictures gave"):
        system.model(input_ids=torch.tensor([ids]), **pixels)
    with pytest.raises(ProcessingError, match="visual_layouts describe"):
        system.model(
            input_ids=torch.tensor([ids]),
            pixel_values=pixels["pixel_values"][:-1],
            visual_layouts=pixels["visual_layouts"],
        )
