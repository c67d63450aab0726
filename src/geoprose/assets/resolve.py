"""From the name of an asset to a verified path in the cache."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from geoprose.assets.cache import cache_root, locked
from geoprose.assets.sources import describe_source, fetch, file_is_intact
from geoprose.assets.specs import AssetSpec, LocalSource, asset_spec
from geoprose.core.errors import AssetError
from geoprose.core.files import sha256_file, write_json

MANIFEST = "manifest.json"
"""File beside the files of a cached asset: where they came from, when, and their hashes."""

logger = logging.getLogger(__name__)


def resolve(name: str, cache_dir: Path | None = None) -> Path:
    """Return the verified path of an asset, fetching it on first use.

    The environment variable ``GEOPROSE_ASSET_<NAME>`` points at a file or folder of the user's own. Its content must
    be the recorded one, or that of ``GEOPROSE_ASSET_<NAME>_SHA256``.

    Args:
        name: Name in the asset table.
        cache_dir: Folder of the cache; by default ``GEOPROSE_CACHE`` or the platform's cache folder.

    Returns:
        The file of an asset of one file (or its stacked GeoTIFF), else the folder of its files.

    Raises:
        AssetError: If the asset is unknown, has no recorded licence, cannot be had, or does not match its SHA-256.
        ConfigError: If an asset table is invalid.
    """
    spec = asset_spec(name)
    if not spec.licence:
        raise AssetError(
            f"Asset {name!r} has no recorded licence, so it is not used. Add `licence:` to its table entry."
        )
    override = _override(spec)
    if isinstance(override, Path):
        return override
    root = cache_root(cache_dir)
    try:
        with locked(root, name):
            return _resolve_locked(spec, root, override)
    except OSError as error:
        raise AssetError(
            f"Asset {name!r} cannot be kept in {root} ({error}). Set GEOPROSE_CACHE to a folder with room."
        ) from error


def cached_dir(spec: AssetSpec, root: Path) -> Path:
    """Return the folder of the cache ``root`` that holds ``spec`` once it is fetched."""
    return root / "assets" / f"{spec.name}-{spec.content_id}"


def final_path(spec: AssetSpec, folder: Path) -> Path:
    """Return what the asset resolves to inside ``folder``: its stack, its only file, or the folder."""
    if spec.stack is not None:
        return folder / spec.stack.file
    return folder / spec.files[0].name if len(spec.files) == 1 else folder


def damaged_files(spec: AssetSpec, folder: Path) -> list[str]:
    """Return the names of the files of a cached asset whose content is not the recorded one."""
    damaged = [file.name for file in spec.files if not file_is_intact(folder / file.name, file)]
    if spec.stack is not None:
        built = read_manifest(folder).get("built")
        path = folder / spec.stack.file
        recorded = built.get("sha256") if isinstance(built, dict) else None
        if not path.is_file() or recorded != sha256_file(path):
            damaged.append(spec.stack.file)
    return damaged


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a cached asset, or an empty mapping when there is none that can be read."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def _override(spec: AssetSpec) -> Path | LocalSource | None:
    """Read the user's own path: a file is used where it lies, a folder becomes the first source."""
    value = os.environ.get(spec.override_variable)
    if not value:
        return None
    path = Path(value).expanduser()
    if path.is_dir():
        return LocalSource(path=path)
    if not path.is_file():
        raise AssetError(f"{spec.override_variable} points at {path}, which does not exist.")
    own_hash = os.environ.get(spec.override_variable + "_SHA256")
    expected = own_hash or (spec.files[0].sha256 if len(spec.files) == 1 else None)
    if expected is None:
        raise AssetError(
            f"Asset {spec.name!r} has {len(spec.files)} files. Point {spec.override_variable} at a folder that holds "
            f"them, or at one file of your own with its SHA-256 in {spec.override_variable}_SHA256."
        )
    found = sha256_file(path)
    if found != expected.lower():
        raise AssetError(
            f"{path} ({spec.override_variable}) has SHA-256 {found}, expected {expected}. If this file is meant, "
            f"set {spec.override_variable}_SHA256 to its SHA-256."
        )
    return path


def _resolve_locked(spec: AssetSpec, root: Path, override: LocalSource | None) -> Path:
    folder = cached_dir(spec, root)
    if folder.is_dir():
        damaged = damaged_files(spec, folder)
        if not damaged:
            return final_path(spec, folder)
        logger.warning("cached asset %s is damaged (%s); fetching it again", spec.name, ", ".join(damaged))
        _keep_aside(folder, root)
    folder.parent.mkdir(parents=True, exist_ok=True)
    for orphan in folder.parent.glob(f".{spec.name}.*.tmp"):  # left by a killed process; we hold the lock
        shutil.rmtree(orphan, ignore_errors=True)
    _require_room(spec, root)
    staging = Path(tempfile.mkdtemp(prefix=f".{spec.name}.", suffix=".tmp", dir=folder.parent))
    try:
        origin = _fetch_first(spec, override, staging, root)
        _finish(spec, staging, origin)
        staging.chmod(0o755)
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return final_path(spec, folder)


def _fetch_first(spec: AssetSpec, override: LocalSource | None, staging: Path, root: Path) -> str:
    sources = [override] if override is not None else spec.ordered_sources()
    failures = []
    for source in sources:
        try:
            origin = fetch(spec, source, staging)
        except AssetError as error:
            failures.append(f"{describe_source(source)}: {error}")
            continue
        wrong = [file for file in spec.files if not file_is_intact(staging / file.name, file)]
        if not wrong:
            return origin
        for file in wrong:
            found = sha256_file(staging / file.name)
            kept = _keep_aside(staging / file.name, root)
            failures.append(f"{origin}: {file.name} has SHA-256 {found}, expected {file.sha256}; kept at {kept}")
    reasons = "".join(f"\n  {failure}" for failure in failures) or " Its table entry lists no source."
    raise AssetError(
        f"Asset {spec.name!r} could not be had.{reasons}\n"
        f"Run `geoprose doctor --fetch` to try again, or set {spec.override_variable} to a copy of your own."
    )


def _finish(spec: AssetSpec, staging: Path, origin: str) -> None:
    manifest: dict[str, Any] = {
        "name": spec.name,
        "licence": spec.licence,
        "source": origin,
        "fetched_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "files": [file.model_dump() for file in spec.files],
    }
    if spec.stack is not None:
        from geoprose.assets.stack import stack_bands

        path = staging / spec.stack.file
        stack_bands(spec.stack, staging, path)
        # The bytes depend on the GDAL version, so the hash of what was built is recorded, not prescribed.
        manifest["built"] = {"name": spec.stack.file, "sha256": sha256_file(path), "size_bytes": path.stat().st_size}
    write_json(staging / MANIFEST, manifest)


def _keep_aside(path: Path, root: Path) -> Path:
    """Move a mismatched file or folder out of the way, under a name of its own."""
    aside = root / "mismatched"
    aside.mkdir(parents=True, exist_ok=True)
    kept = Path(tempfile.mkdtemp(prefix=f"{path.name}-", dir=aside)) / path.name
    shutil.move(str(path), kept)
    return kept


def _require_room(spec: AssetSpec, root: Path) -> None:
    # The archive, the file taken out of it, and what is built from it may lie on the disk at the same time.
    needed = 3 * spec.size_bytes
    free = shutil.disk_usage(root).free
    if free < needed:
        raise AssetError(
            f"Asset {spec.name!r} needs {needed >> 20} MiB for a moment; {root} has {free >> 20} MiB free. "
            "Free some space or set GEOPROSE_CACHE to another disk."
        )
