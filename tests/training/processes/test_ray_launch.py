"""Other launchers: what ships for accelerate can be read by it, and absent Ray is explained."""

from __future__ import annotations

import sys

import pytest

from geoprose.core.errors import ResourceError
from geoprose.core.preset_folder import PresetFolder
from geoprose.training.processes.ray_launch import run_with_ray

LAUNCH = PresetFolder("launch", "launch configuration")


def test_without_ray_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.train", None)
    with pytest.raises(ResourceError, match=r"geoprose\[ray\].*torchrun"):
        run_with_ray({"recipe": "tiny"}, num_workers=2)


@pytest.mark.parametrize("name", LAUNCH.names())
def test_accelerate_reads_the_configuration(name: str) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(LAUNCH.find(name)))  # refuses unknown keys
    assert config.num_processes == (1 if name == "one-gpu" else 8)
    assert config.distributed_type.value in {"NO", "MULTI_GPU"}
    assert config.mixed_precision == "no"
