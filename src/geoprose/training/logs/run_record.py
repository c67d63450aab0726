"""``run.json``: all that a person needs to know to repeat a run."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from geoprose.core import provenance
from geoprose.core.files import write_json
from geoprose.training.processes import distributed

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.training.specs.recipe import RecipeSpec

RUN_FILE = "run.json"


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
            "git_commit": provenance.git_commit(),
            "versions": provenance.package_versions(),
            "seeds": {stage.name: recipe.stage_seed(index) for index, stage in enumerate(recipe.stages)},
            "data_hashes": (earlier or {}).get("data_hashes", {}),
            "asset_hashes": (earlier or {}).get("asset_hashes", {}),
            "hardware": provenance.hardware(),
            "processes": distributed.world_size(),
            "stages": (earlier or {}).get("stages", {}),
            "unreadable_images": (earlier or {}).get("unreadable_images", {}),
        }

    def write(self, status: str) -> None:
        """Write the record with the time and memory used so far; of several processes the first one writes."""
        self.content["status"] = status
        self.content["wall_seconds"] = round(self._earlier_s + time.monotonic() - self._start, 3)
        self.content["peak_memory_bytes"] = max(self._earlier_peak, provenance.peak_memory_bytes())
        if distributed.is_main():
            write_json(self.path, self.content)
