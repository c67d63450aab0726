"""Report which assets are present, missing or damaged, without fetching anything."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from geoprose.assets.cache import cache_root
from geoprose.assets.resolve import cached_dir, damaged_files, final_path, resolve
from geoprose.assets.sources import describe_source
from geoprose.assets.specs import AssetSpec, asset_table
from geoprose.core.errors import AssetError
from geoprose.core.spec import Spec

AssetStatus = Literal["present", "missing", "mismatched"]


class AssetReport(Spec):
    """What is known about one asset on this machine."""

    name: str
    """Name in the asset table."""
    title: str
    """What it is."""
    status: AssetStatus
    """``present`` means every file has its recorded SHA-256."""
    path: str | None
    """Where it lies, when it is present."""
    sha256: dict[str, str]
    """Recorded SHA-256 of each file."""
    licence: str | None
    """Licence; None means that the asset is refused."""
    size_bytes: int
    """Sum of the sizes of its files."""
    sources: tuple[str, ...]
    """Where it can be had, in the order tried."""
    advice: str = ""
    """What to do when it is not present."""


def doctor(cache_dir: Path | None = None) -> list[AssetReport]:
    """Check every asset of the table against its recorded hashes; nothing is fetched or moved.

    Args:
        cache_dir: Folder of the cache; by default ``GEOPROSE_CACHE`` or the platform's cache folder.

    Raises:
        ConfigError: If an asset table is invalid.
    """
    root = cache_root(cache_dir)
    return [_report(spec, root) for spec in asset_table().values()]


def _report(spec: AssetSpec, root: Path) -> AssetReport:
    status, path, advice = _state(spec, root)
    return AssetReport(
        name=spec.name,
        title=spec.title,
        status=status,
        path=str(path) if path is not None else None,
        sha256={file.name: file.sha256 for file in spec.files},
        licence=spec.licence,
        size_bytes=spec.size_bytes,
        sources=tuple(describe_source(source) for source in spec.ordered_sources()),
        advice=advice,
    )


def _state(spec: AssetSpec, root: Path) -> tuple[AssetStatus, Path | None, str]:
    if not spec.licence:
        return "missing", None, "Its table entry states no licence, so it is refused."
    override = os.environ.get(spec.override_variable)
    if override and not Path(override).expanduser().is_dir():
        try:
            return "present", resolve(spec.name, root), ""
        except AssetError as error:
            return "mismatched", None, str(error)
    folder = cached_dir(spec, root)
    if not folder.is_dir():
        return "missing", None, "Run `geoprose doctor --fetch`."
    damaged = damaged_files(spec, folder)
    if damaged:
        return "mismatched", None, f"Damaged: {', '.join(damaged)}. Run `geoprose doctor --fetch` to fetch it again."
    return "present", final_path(spec, folder), ""
