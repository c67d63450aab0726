import numpy as np
import pytest
import torch
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from geoprose.core.errors import ProcessingError
from geoprose.layout.visual import PatchGroups
from geoprose.processing.image_processor import GeoproseImageProcessor
from geoprose.processing.visuals import Video, cut_patches
from tests.fixtures.systems import picture

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
LIMITS = {"min_pixels": 56 * 56, "max_pixels": 28 * 28 * 40}
SIZES = [(100, 60), (28, 28), (300, 411), (640, 97)]


def _processor(**options):
    resolution = {
        "type": "naive_dynamic",
        **LIMITS,
        "video_min_pixels": 784,
        "video_max_pixels": 28 * 28 * 16,
        **options,
    }
    return GeoproseImageProcessor(resolution=resolution, image_mean=MEAN, image_std=STD)


def test_patches_equal_qwen2_vl():
    pictures = [picture(seed, size) for seed, size in enumerate(SIZES)]
    ours = _processor()(pictures, return_tensors="pt")
    theirs = Qwen2VLImageProcessorPil(**LIMITS)(pictures, return_tensors="pt")
    torch.testing.assert_close(ours["pixel_values"].flatten(0, 1), theirs["pixel_values"], atol=2e-6, rtol=0)
    layouts = ours["visual_layouts"]
    assert torch.equal(layouts[:, :3] * torch.tensor([1, 2, 2]), theirs["image_grid_thw"])
    assert len(ours["pixel_values"]) == int(layouts[:, :3].prod(-1).sum())


@pytest.mark.parametrize("num_frames", [1, 2, 3, 6])
def test_frames_of_a_video_are_paired_and_the_last_repeated(num_frames):
    frames = [picture(seed, (64, 50)) for seed in range(num_frames)]
    ours = _processor()(Video(frames), return_tensors="pt")
    t, rows, columns = ours["visual_layouts"][0, :3].tolist()
    assert t == -(-num_frames // 2)
    # (t, rows, columns, dy, dx, C, frame, y, x): the first frame of a pair alone is the picture, patch by patch.
    values = ours["pixel_values"].reshape(t, rows, columns, 2, 2, 3, 2, 14, 14)
    for index in range(2 * t):
        alone = _processor(min_pixels=784, max_pixels=28 * 28 * 16)(
            frames[min(index, num_frames - 1)], return_tensors="pt"
        )
        expected = alone["pixel_values"].reshape(rows, columns, 2, 2, 3, 2, 14, 14)[:, :, :, :, :, 0]
        torch.testing.assert_close(values[index // 2][:, :, :, :, :, index % 2], expected)


def test_patches_stand_in_groups():
    frames = np.arange(1 * 1 * 4 * 8, dtype=np.float32).reshape(1, 1, 4, 8)
    groups = cut_patches(frames, PatchGroups(patch_size=2, merge=2, frames=1))
    assert groups.shape == (2, 4, 4)
    # Rows of 8 pixels: the first group is the left square, its patches row by row, each patch row by row.
    assert groups[0].tolist() == [[0, 1, 8, 9], [2, 3, 10, 11], [16, 17, 24, 25], [18, 19, 26, 27]]
    assert groups[1, 0].tolist() == [4, 5, 12, 13]


def test_pictures_and_videos_mix_in_order():
    first, clip = picture(0, (56, 56)), Video([picture(1, (56, 28)), picture(2, (56, 28))])
    mixed = _processor()([[first], [clip, first]], return_tensors="pt")
    assert mixed["visual_layouts"][:, :3].tolist() == [[1, 2, 2], [1, 1, 2], [1, 2, 2]]
    assert torch.equal(mixed["pixel_values"][:4], mixed["pixel_values"][6:])


def test_video_is_refused_where_the_resolution_takes_none():
    processor = GeoproseImageProcessor(resolution={"type": "fixed", "image_size": 28})
    with pytest.raises(ProcessingError, match="not videos"):
        processor(Video([picture(0, (28, 28))]))


@pytest.mark.parametrize("sizes", [[], [(28, 28), (28, 56)]])
def test_frames_must_agree(sizes):
    with pytest.raises(ProcessingError, match="one size"):
        _processor()(Video([picture(seed, size) for seed, size in enumerate(sizes)]))
