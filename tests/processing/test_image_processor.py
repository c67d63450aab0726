import numpy as np
import pytest
import torch
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.processing.image_processor import GeoproseImageProcessor, to_rgb
from tests.fixtures.systems import picture

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def _processor(mode="resize", size=28, **kwargs):
    values = {"resolution": {"type": "fixed", "image_size": size, "mode": mode}, "image_mean": MEAN, "image_std": STD}
    return GeoproseImageProcessor(**{**values, **kwargs})


@pytest.mark.parametrize("size", [(40, 40), (61, 30), (30, 61), (28, 28)])
def test_center_crop_equals_clip(size):
    image = picture(1, size)
    ours = _processor("center_crop")(image, return_tensors="np")["pixel_values"]
    theirs = CLIPImageProcessorPil(
        size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}, image_mean=MEAN, image_std=STD
    )(image, return_tensors="np")["pixel_values"]
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_pad_surrounds_with_the_mean_colour():
    image = Image.new("RGB", (28, 14), (255, 0, 0))
    tile = _processor("pad", image_mean=(0.5, 0.25, 0.0), image_std=(1, 1, 1))(image)["pixel_values"][0]
    assert tile.shape == (3, 28, 28)
    expected = torch.tensor([127 / 255 - 0.5, 63 / 255 - 0.25, 0.0])
    torch.testing.assert_close(tile[:, 0, 0], expected)
    torch.testing.assert_close(tile[:, 27, 27], expected)
    torch.testing.assert_close(tile[:, 14, 14], torch.tensor([0.5, -0.25, 0.0]))


def test_nested_lists_keep_their_order():
    images = [picture(seed, (28, 28)) for seed in range(3)]
    pixels = _processor()([[images[0]], [images[1], images[2]]], return_tensors="pt")["pixel_values"]
    assert pixels.shape == (3, 3, 28, 28)
    assert pixels.dtype == torch.float32
    for tile, image in zip(pixels, images, strict=True):
        by_hand = (np.asarray(image) / 255 - np.array(MEAN)) / np.array(STD)
        np.testing.assert_allclose(tile.numpy(), by_hand.transpose(2, 0, 1), atol=1e-5)


def test_every_form_of_one_picture_is_the_same():
    array = np.asarray(picture(2, (28, 28)))
    forms = [
        Image.fromarray(array),
        array,
        array.transpose(2, 0, 1),
        array.astype(np.float32) / 255,
        torch.from_numpy(array.copy()),
    ]
    for form in forms:
        assert np.array_equal(np.asarray(to_rgb(form)), array)
    grey = array[..., 0]
    assert np.array_equal(np.asarray(to_rgb(grey)), np.repeat(grey[..., None], 3, -1))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((4, 4, 5), np.uint8), "three bands"),
        (np.full((4, 4, 3), 7.0), "0..1"),
        (np.full((4, 4, 3), np.nan), "finite"),
        (np.zeros((4, 4, 3), np.int16), "uint8"),
        ("scene.tif", "PIL image or an array"),
    ],
)
def test_what_is_no_picture_is_refused(bad, message):
    with pytest.raises(ProcessingError, match=message):
        to_rgb(bad)


def test_no_picture_and_bad_options_are_refused():
    with pytest.raises(ProcessingError, match="No picture"):
        _processor()([])
    with pytest.raises(ConfigError, match=r"resolution fixed: .*side_px"):
        GeoproseImageProcessor(resolution={"type": "fixed", "side_px": 4})
    with pytest.raises(ConfigError, match="Unknown resize mode"):
        _processor("stretch")


def test_dictionary_round_trip():
    processor = _processor("pad")
    again = GeoproseImageProcessor.from_dict(processor.to_dict())
    assert again.to_dict() == processor.to_dict()
    assert torch.equal(again(picture())["pixel_values"], processor(picture())["pixel_values"])
