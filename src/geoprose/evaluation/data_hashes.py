"""Which data a run was asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.core.files import sha256_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DATA_FILES = ("card.json", "train.jsonl", "val.jsonl", "test.jsonl")


def data_hashes(data_dir: Path, extra: Sequence[str] = ()) -> dict[str, str]:
    """Return the SHA-256 of the records and the card of a data directory."""
    names = dict.fromkeys([*DATA_FILES, *extra])
    return {name: sha256_file(data_dir / name) for name in names if (data_dir / name).is_file()}
