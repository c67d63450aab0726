"""SigLIP 2 (NaFlex) on square tiles: patches, positions and features against transformers' own preparation."""

import pytest
import torch
from transformers import Siglip2VisionConfig
from transformers.models.siglip2.image_processing_pil_siglip2 import convert_image_to_patches

from geoprose.models.parts.encoders.siglip2 import Siglip2Encoder
from tests.fixtures.systems import randomise

SIZES = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32, "patch_size": 4}


def _encoder(layer=None, num_patches=9, image_size=16):
    config = Siglip2VisionConfig(**SIZES, num_patches=num_patches)
    config.image_size = image_size
    encoder = Siglip2Encoder(config, feature_layer=layer).eval()
    randomise(encoder)
    return encoder


@pytest.mark.parametrize("layer", [None, -2, 1])
def test_features_equal_the_model_on_patches_of_transformers(layer):
    encoder = _encoder(layer)
    pixels = torch.randn(2, 3, 16, 16)
    cut = [torch.from_numpy(convert_image_to_patches(tile.numpy(), 4)) for tile in pixels]
    outputs = encoder.tower(
        torch.stack(cut),
        pixel_attention_mask=torch.ones(2, 16, dtype=torch.long),
        spatial_shapes=torch.tensor([[4, 4], [4, 4]]),
        output_hidden_states=True,
    )
    expected = outputs.last_hidden_state if layer is None else outputs.hidden_states[layer]
    assert torch.equal(encoder(pixels), expected)
    assert encoder(pixels).shape == (2, encoder.num_patches(), 16)


def test_the_table_keeps_its_own_grid():
    encoder = _encoder(num_patches=9, image_size=16)
    assert (encoder.num_patches(), encoder.position_table_side()) == (16, 3)
    assert encoder.get_parameter(encoder.position_table_key()).shape == (9, 16)


@pytest.mark.parametrize("layer", [None, -2])
def test_frozen_parameters_are_exactly_those_without_gradient(layer):
    encoder = _encoder(layer)
    frozen = {name for name, parameter in encoder.named_parameters() if not parameter.requires_grad}
    encoder.requires_grad_(True)
    features = encoder(torch.randn(1, 3, 16, 16))
    (features * torch.randn_like(features)).sum().backward()
    assert frozen
    assert {name for name, parameter in encoder.named_parameters() if parameter.grad is None} == frozen
