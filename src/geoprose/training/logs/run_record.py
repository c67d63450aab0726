"""``run.json``: all that a person needs to know to repeat a run."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoprose.core.files import write_json
from geoprose.training.processes import distributed

if TYPE_CHECKING:
    from geoprose.training.specs.recipe import RecipeSpec

RUN_FILE = "run.json"
_PACKAGES = ("geoprose", "torch", "transformers", "peft", "accelerate", "safetensors", "numpy", "pillow", "tokenizers")


class RunRecord:
    """The record of a run; written at its start and after every stage.

    Args:
        path: Where ``run.json`` goes.
        recipe: The resolved recipe.
        earlier: What an interrupted run recorded, whose time counts too.
    """

    def __init__(self, path: Path, recipe: RecipeSpec, earlier: dict[str, Any] | None = None) -> None:
        self.path = path
        self._start = time.monotonic()
        self._earlier_s = float((earlier or {}).get("wall_seconds", 0.0))
        self._earlier_peak = float((earlier or {}).get("peak_memory_bytes", 0.0))
        self.content: dict[str, Any] = {
            "recipe": recipe.model_dump(mode="json"),
            "recipe_hash": recipe.content_hash(),
            "status": "running",
            "started": (earlier or {}).get("started") or datetime.now(UTC).isoformat(timespec="seconds"),
            "resumed": int((earlier or {}).get("resumed", -1)) + 1,
            "git_commit": git_commit(),
            "versions": package_versions(),
            "seeds": {stage.name: recipe.stage_seed(index) for index, stage in enumerate(recipe.stages)},
            "data_hashes": (earlier or {}).get("data_hashes", {}),
            "asset_hashes": (earlier or {}).get("asset_hashes", {}),
            "hardware": hardware(),
            "processes": distributed.world_size(),
            "stages": (earlier or {}).get("stages", {}),
            "unreadable_images": (earlier or {}).get("unreadable_images", {}),
        }

    def write(self, status: str) -> None:
        """Write the record with the time and memory used so far; of several processes the first one writes."""
        self.content["status"] = status
        self.content["wall_seconds"] = round(self._earlier_s + time.monotonic() - self._start, 3)
        self.content["peak_memory_bytes"] = max(self._earlier_peak, peak_memory_bytes())
        if distributed.is_main():
            write_json(self.path, self.content)


def package_versions() -> dict[str, str]:
    """Return the installed versions of what decides the result."""
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "absent"
    return versions


def hardware() -> dict[str, Any]:
    """Return processor, threads, vector instructions and accelerator."""
    import torch

    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def peak_memory_bytes() -> float:
    """Return the largest resident size of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else peak * 1024)


def git_commit() -> str | None:
    """Return the commit of the source tree with ``-dirty`` when it was changed, or None outside a checkout."""
    here = Path(__file__).resolve().parent
    try:
        answer = subprocess.run(  # noqa: S603
            ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None
