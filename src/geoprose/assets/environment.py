"""Facts about the machine and the installed packages, gathered without importing any heavy package."""

from __future__ import annotations

import os
import platform
import re
import shutil
from importlib import metadata
from pathlib import Path
from typing import Literal

from geoprose.assets.cache import is_offline
from geoprose.core.gdal_doors import close_doors
from geoprose.core.spec import Spec

FactStatus = Literal["ok", "info", "warning", "missing"]

_GIB = 1 << 30
_WANTED_DISK_GIB = 4
_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
_PACKAGES = (
    ("torch", "geoprose[train]"),
    ("transformers", "geoprose[train]"),
    ("peft", "geoprose[train]"),
    ("gguf", "geoprose[demo]"),
    ("onnx", "geoprose[demo]"),
    ("rasterio", "geoprose"),
    ("numpy", "geoprose"),
    ("pillow", "geoprose"),
)


class EnvironmentFact(Spec):
    """One line about the environment."""

    name: str
    """What the fact is about."""
    value: str
    """What was found."""
    status: FactStatus = "info"
    """``warning`` and ``missing`` come with advice."""
    advice: str = ""
    """What to do about it."""


def environment_facts(cache: Path) -> list[EnvironmentFact]:
    """Return what is known about Python, packages, disk and processor; imports none of the packages.

    Args:
        cache: Folder of the cache, whose disk is measured.
    """
    facts = [EnvironmentFact(name="python", value=f"{platform.python_version()} on {platform.platform()}")]
    facts += [_package(name, extra) for name, extra in _PACKAGES]
    facts += [_gdal(), _torchvision(), _cores(), _bf16(), _disk(cache)]
    if is_offline():
        facts.append(EnvironmentFact(name="downloads", value="forbidden by GEOPROSE_OFFLINE"))
    return facts


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _package(name: str, extra: str) -> EnvironmentFact:
    version = _version(name)
    if version is None:
        advice = f"Needed by {extra}: pip install '{extra}'."
        return EnvironmentFact(name=name, value="not installed", status="missing", advice=advice)
    return EnvironmentFact(name=name, value=version, status="ok")


def _gdal() -> EnvironmentFact:
    try:
        close_doors()
        import rasterio
    except ImportError as error:
        advice = f"rasterio cannot be imported ({error}). Reinstall it."
        return EnvironmentFact(name="GDAL", value="not available", status="missing", advice=advice)
    return EnvironmentFact(name="GDAL", value=str(rasterio.__gdal_version__), status="ok")


def _torchvision() -> EnvironmentFact:
    vision, torch = _version("torchvision"), _version("torch")
    if vision is None:
        return EnvironmentFact(name="torchvision", value="not installed (not needed)", status="ok")
    wanted = _pinned_torch()
    fits = torch is not None and (wanted is None or torch.split("+")[0] == wanted) and _build(torch) == _build(vision)
    if fits:
        return EnvironmentFact(name="torchvision", value=vision, status="ok")
    return EnvironmentFact(
        name="torchvision",
        value=f"{vision}, built for torch {wanted or 'unknown'}; torch is {torch or 'not installed'}",
        status="warning",
        advice="A torchvision of another build breaks every import of a transformers model: pip uninstall torchvision.",
    )


def _pinned_torch() -> str | None:
    for requirement in metadata.requires("torchvision") or []:
        if found := re.match(r"torch\s*\(?==\s*([0-9.]+)", requirement):
            return found.group(1)
    return None


def _build(version: str) -> str:
    return version.partition("+")[2]


def _cores() -> EnvironmentFact:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return EnvironmentFact(name="processor cores", value=f"{usable} usable")


def _bf16() -> EnvironmentFact:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return EnvironmentFact(name="bfloat16 in hardware", value="unknown")
    lines = (line for line in text.splitlines() if line.lower().startswith(("flags", "features")))
    found = sorted(_BF16_FLAGS & set(next(lines, "").split()))
    return EnvironmentFact(name="bfloat16 in hardware", value=", ".join(found) or "no")


def _disk(cache: Path) -> EnvironmentFact:
    existing = next(path for path in (cache.absolute(), *cache.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free / _GIB
    if free < _WANTED_DISK_GIB:
        advice = f"The demo wants {_WANTED_DISK_GIB} GiB. Free some space or set GEOPROSE_CACHE to another disk."
        return EnvironmentFact(name="free disk", value=f"{free:.1f} GiB at {existing}", status="warning", advice=advice)
    return EnvironmentFact(name="free disk", value=f"{free:.1f} GiB at {existing}", status="ok")
