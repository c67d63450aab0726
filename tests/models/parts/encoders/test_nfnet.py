"""NFNet through timm where there is one: a clear error without, the contract with a stand-in."""

import sys
from types import ModuleType

import pytest
import torch
from transformers import TimmWrapperConfig

from geoprose.core.errors import ConfigError, ResourceError
from geoprose.models.parts.encoders.nfnet import NfnetEncoder


def _config():
    config = TimmWrapperConfig(architecture="dm_nfnet_f6")
    config.image_size = 96
    return config


class StandIn(torch.nn.Module):
    """What timm's networks offer."""

    num_features = 5

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 5, 32, stride=32)

    def forward_features(self, pixels):
        return self.conv(pixels)


def test_without_timm_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ResourceError, match=r"nfnet \(dm_nfnet_f6\) needs timm.*Install timm"):
        NfnetEncoder(_config())


def test_a_broken_torchvision_is_reported_too(monkeypatch):
    def fail(name):
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr("geoprose.models.parts.encoders.nfnet.import_module", fail)
    with pytest.raises(ResourceError, match="torchvision::nms"):
        NfnetEncoder(_config())


def test_cells_come_in_raster_order(monkeypatch):
    asked = []
    timm = ModuleType("timm")
    timm.create_model = lambda name, **options: asked.append((name, options)) or StandIn()
    monkeypatch.setitem(sys.modules, "timm", timm)
    encoder = NfnetEncoder(_config())
    assert asked == [("dm_nfnet_f6", {"pretrained": False, "num_classes": 0, "global_pool": ""})]
    pixels = torch.randn(2, 3, 96, 96)
    features = encoder(pixels)
    assert features.shape == (2, encoder.num_patches(), encoder.hidden_size) == (2, 9, 5)
    torch.testing.assert_close(features[0, 5], encoder.tower.conv(pixels)[0, :, 1, 2])
    with pytest.raises(ConfigError, match="no position table"):
        encoder.position_table_key()
    with pytest.raises(ConfigError, match="last map only"):
        NfnetEncoder(_config(), feature_layer=-2)
