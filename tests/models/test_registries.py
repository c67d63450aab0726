import importlib.metadata as metadata

import pytest
import torch

from geoprose.core.errors import ConfigError
from geoprose.models import registries
from geoprose.models.parts.contracts import Connector, Fusion, Packer, Positions, VisionEncoder
from geoprose.systems.build import build_system
from geoprose.systems.presets import load_preset

TABLES = {
    "VISION_ENCODERS": VisionEncoder,
    "CONNECTORS": Connector,
    "PACKERS": Packer,
    "FUSIONS": Fusion,
    "POSITIONS": Positions,
}


class MeanConnector(Connector):
    """A third-party part: the mean of all patches, repeated."""

    def __init__(self, in_size, out_size, repeat=2):
        super().__init__(in_size, out_size)
        self.in_size, self.out_size, self.repeat = in_size, out_size, repeat
        self.layer = torch.nn.Linear(in_size, out_size)

    def forward(self, features_NPE):
        return self.layer(features_NPE.mean(1, keepdim=True)).expand(-1, self.repeat, -1)

    def num_visual_tokens(self, num_patches):
        return self.repeat


@pytest.mark.parametrize("table", TABLES)
def test_every_name_is_a_part_of_its_slot(table):
    registry = getattr(registries, table)
    for name in registry.names():
        assert issubclass(registry.get(name), TABLES[table])


def test_a_part_of_another_package_builds_from_a_preset(monkeypatch, tmp_path):
    entry = metadata.EntryPoint("mean", f"{__name__}:MeanConnector", "geoprose.connectors")
    monkeypatch.setattr("geoprose.core.registry.entry_points", lambda group: [entry] if entry.group == group else [])
    monkeypatch.setattr(registries.CONNECTORS, "_targets", dict(registries.CONNECTORS._targets))
    monkeypatch.setattr(registries.CONNECTORS, "_has_entry_points", False)
    path = tmp_path / "mine.yaml"
    path.write_text("extends: demo\nconnector: {type: mean, options: {repeat: 5}}\n")
    spec = load_preset(str(path))
    assert spec.num_visual_tokens() is None
    system = build_system(spec, scale="tiny")
    assert type(system.model.model.connector) is MeanConnector
    assert system.processor.num_visual_tokens == system.model.model.num_visual_tokens == 5


def test_an_unknown_part_lists_close_names():
    with pytest.raises(ConfigError, match="Did you mean 'mlp'"):
        load_preset("llava-1.5", ["connector.type=mlpp"])
    with pytest.raises(ConfigError, match="Did you mean 'dinov2'"):
        load_preset("demo", ["vision_encoder.type=dinov3"])
