"""Accelerators are read from words."""

from __future__ import annotations

import pytest

from geoprose.core.errors import ConfigError
from geoprose.training.planner.gpus import GPUS, parse_cluster


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("8xA100-80G", "8xA100-80G"),
        ("8xA100-80GB", "8xA100-80G"),
        ("a100 40g", "1xA100-40G"),
        ("4xH100", "4xH100-80G"),
        ("2xRTX4090", "2xRTX4090-24G"),
    ],
)
def test_known_accelerators(text: str, name: str) -> None:
    assert parse_cluster(text).name == name


def test_unknown_ambiguous_and_none_are_refused() -> None:
    with pytest.raises(ConfigError, match="A100-40G or A100-80G"):
        parse_cluster("8xA100")
    with pytest.raises(ConfigError, match="Did you mean 'H100-80G'"):
        parse_cluster("8xH1000-80G")
    with pytest.raises(ConfigError, match="at least one"):
        parse_cluster("0xH100")


def test_every_figure_has_a_source_and_a_sound_order() -> None:
    for gpu in GPUS.values():
        assert gpu.source
        assert gpu.bf16_tflops > gpu.fp32_tflops > 0
        assert gpu.memory_gib <= float(gpu.name.rsplit("-", 1)[1].removesuffix("G"))
