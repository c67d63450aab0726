import pytest
import torch
import torch.nn.functional as F
from transformers import CLIPVisionConfig

from geoprose.core.errors import ConfigError
from geoprose.models.parts.encoders.bigg import BiggEncoder
from tests.fixtures.systems import randomise

SIZES = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 4}


def _encoder(image_size=16, table_side=4, **options):
    config = CLIPVisionConfig(**SIZES, image_size=image_size, hidden_act="gelu")
    encoder = BiggEncoder(config, table_side=table_side, **options).double().eval()
    randomise(encoder)
    return encoder


def test_first_hidden_state_by_hand():
    encoder = _encoder(image_size=24, feature_layer=0)
    pixels = torch.randn(2, 3, 24, 24, dtype=torch.float64)
    patches = (
        F.unfold(pixels, 4, stride=4).transpose(1, 2) @ encoder.tower.embeddings.patch_embedding.weight.flatten(1).T
    )
    table = encoder.tower.embeddings.position_embedding.unflatten(0, (4, 4)).permute(2, 0, 1)[None]
    table = F.interpolate(table, size=(6, 6), mode="bicubic")[0].flatten(1).T
    expected = encoder.tower.pre_layrnorm(patches + table)
    torch.testing.assert_close(encoder(pixels), expected, atol=1e-10, rtol=0)


def test_features_have_neither_class_token_nor_last_norm():
    encoder = _encoder()
    pixels = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    assert encoder(pixels).shape == (2, encoder.num_patches(), 8) == (2, 16, 8)
    torch.testing.assert_close(encoder(pixels), _encoder(feature_layer=-1)(pixels))
    assert encoder.state_dict()[encoder.position_table_key()].shape == (16, 8)


def test_gradient_reaches_every_parameter_of_the_small_table():
    encoder = _encoder(image_size=32)
    encoder(torch.randn(1, 3, 32, 32, dtype=torch.float64)).square().sum().backward()
    without = [name for name, p in encoder.named_parameters() if p.grad is None or not bool(p.grad.any())]
    assert without == encoder.unused_parameter_names() == []
    assert bool(encoder.tower.embeddings.position_embedding.grad.ne(0).all())


@pytest.mark.parametrize("options", [{"final_norm": True}, {"table_side": 0}])
def test_options_that_it_lacks_are_refused(options):
    with pytest.raises(ConfigError):
        _encoder(**options)
