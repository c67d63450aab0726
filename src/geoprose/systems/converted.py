"""Folders of converted weights: written whole or not at all, checked by SHA-256 each time they are used."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoprose.assets.cache import locked
from geoprose.core.errors import ModelError
from geoprose.core.files import sha256_file, write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RECORD = "conversion.json"
"""File beside converted weights: source, converter, versions, hashes, what was verified."""

logger = logging.getLogger(__name__)


def convert_once(
    source_path: Path, out_dir: Path, converter: str, convert: Callable[[Path, Path], dict[str, Any]]
) -> Path:
    """Run ``convert(source_path, folder)`` unless ``out_dir`` already holds its intact result.

    The folder is built beside ``out_dir`` and renamed, so a reader sees all of it or nothing. A process that finds
    another one at work waits for it.

    Args:
        source_path: File to convert; the result is tied to its SHA-256.
        out_dir: Folder that receives the result. A damaged or older conversion in it is replaced.
        converter: Name and version of the conversion; changing it makes older results be replaced.
        convert: Writes the files and returns what it verified, for the record.

    Returns:
        ``out_dir``.

    Raises:
        ModelError: If ``out_dir`` holds something that is not a conversion, or the conversion fails its check.
    """
    if not source_path.is_file():
        raise ModelError(f"{source_path} does not exist, so it cannot be converted. Run `geoprose doctor --fetch`.")
    with locked(out_dir.parent, f"convert-{out_dir.name}"):
        source_sha256 = sha256_file(source_path)
        if _is_intact(out_dir, source_sha256, converter):
            return out_dir
        _clear(out_dir)
        staging = Path(tempfile.mkdtemp(prefix=f".{out_dir.name}.", suffix=".tmp", dir=out_dir.parent))
        try:
            verified = convert(source_path, staging)
            _write_record(staging, source_path, {"source_sha256": source_sha256, "converter": converter, **verified})
            staging.chmod(0o755)
            staging.rename(out_dir)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return out_dir


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence the progress bars of transformers; one conversion would show five."""
    from transformers.utils import logging as hf_logging

    was_enabled = hf_logging.is_progress_bar_enabled()
    hf_logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_enabled:
            hf_logging.enable_progress_bar()


def _is_intact(out_dir: Path, source_sha256: str, converter: str) -> bool:
    try:
        record = json.loads((out_dir / RECORD).read_text(encoding="utf-8"))
        files = dict(record["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
    if record.get("source_sha256") != source_sha256 or record.get("converter") != converter:
        return False
    damaged = [name for name, sha256 in files.items() if not _matches(out_dir / name, sha256)]
    if damaged:
        logger.warning("converted weights in %s are damaged (%s); converting again", out_dir, ", ".join(damaged))
    return not damaged


def _matches(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_file(path) == sha256


def _clear(out_dir: Path) -> None:
    if out_dir.is_dir() and any(out_dir.iterdir()) and not (out_dir / RECORD).is_file():
        raise ModelError(f"{out_dir} holds files that are not a conversion. Give an empty or new folder.")
    shutil.rmtree(out_dir, ignore_errors=True)
    for orphan in out_dir.parent.glob(f".{out_dir.name}.*.tmp"):  # left by a killed process; we hold the lock
        shutil.rmtree(orphan, ignore_errors=True)


def _write_record(staging: Path, source_path: Path, values: dict[str, Any]) -> None:
    files = sorted(path for path in staging.rglob("*") if path.is_file())
    for path in files:
        path.chmod(0o644)  # safetensors writes files that only their owner can read
    record = {
        "source_name": source_path.name,
        **values,
        "versions": {name: metadata.version(name) for name in ("torch", "transformers")},
        "files": {str(path.relative_to(staging)): sha256_file(path) for path in files},
    }
    write_json(staging / RECORD, record)
