"""What a run was made of: the commit, the packages, the machine. Every record of a run asks here."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

PACKAGES = (
    "geoprose",
    "torch",
    "transformers",
    "tokenizers",
    "peft",
    "accelerate",
    "safetensors",
    "numpy",
    "scikit-learn",
    "pillow",
    "rasterio",
)
ABSENT = "absent"
"""Stands for the version of a package that is not installed."""
_TIMEOUT_S = 10


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that numbers depend on."""
    return {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ABSENT


def hardware() -> dict[str, Any]:
    """Return processor and cores, and where torch is in use its threads, vector instructions and accelerator."""
    found: dict[str, Any] = {"machine": platform.machine(), "system": platform.system(), "cpus": os.cpu_count()}
    # Why not an import: this room never needs torch, and a process that has not loaded it has not computed with it.
    torch = sys.modules.get("torch")
    if torch is None:
        return found
    return {
        **found,
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def peak_memory_bytes(with_children: bool = False) -> int:
    """Return the largest resident memory of this process so far.

    Args:
        with_children: Or of any process that it started and that has ended, whichever is larger.
    """
    who = [resource.RUSAGE_SELF, *([resource.RUSAGE_CHILDREN] if with_children else [])]
    peak = max(resource.getrusage(process).ru_maxrss for process in who)
    return int(peak if sys.platform == "darwin" else peak * 1024)  # macOS counts bytes, Linux kibibytes


def git_commit() -> str | None:
    """Return the commit of the source tree with ``-dirty`` when it was changed, or None outside a checkout."""
    here = Path(__file__).resolve().parent
    try:
        answer = subprocess.run(  # noqa: S603 - fixed arguments
            ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None
