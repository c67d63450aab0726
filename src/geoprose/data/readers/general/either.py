"""One name for a benchmark, whichever of its two published layouts lies in the folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.core.errors import ConfigError, DataError
from geoprose.core.registry import unknown_name_message
from geoprose.data.readers.base import check_split
from geoprose.data.readers.registry import build_reader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from geoprose.core.types import Sample

AUTHORS: Mapping[str, str] = {
    "mme": "mme",
    "pope": "pope",
    "ocrbench": "ocrbench",
    "mathvista": "mathvista",
    "science-qa": "science_qa",
    "seed-bench": "seed_bench",
}
"""Readers of the authors' own files in the table of readers, by benchmark."""


class BenchmarkReader:
    """Reads a benchmark's parquet files where the folder holds any, else the authors' files.

    Args:
        data_set: Name in AUTHORS.
    """

    def __init__(self, *, data_set: str = "mme") -> None:
        if data_set not in AUTHORS:
            raise ConfigError(unknown_name_message("benchmark", data_set, AUTHORS))
        self._hub = build_reader("hub", {"data_set": data_set})
        self._own = build_reader(AUTHORS[data_set], {})
        self.splits = tuple(dict.fromkeys([*self._own.splits, *self._hub.splits]))
        self.layout = f"either {self._own.layout} Or {self._hub.layout}"

    def read(self, root: Path, split: str) -> Iterator[Sample]:
        """Yield the questions in the order of the files."""
        check_split(split, self.splits, self.layout)
        chosen = self._hub if self._has_tables(root) else self._own
        if split not in chosen.splits:
            raise DataError(f"{root} has no split {split!r}, only {', '.join(chosen.splits)}. Layout: {self.layout}")
        try:
            yield from chosen.read(root, split)
        except DataError as error:
            if chosen.layout not in str(error):
                raise
            raise DataError(str(error).replace(chosen.layout, self.layout)) from error

    @staticmethod
    def _has_tables(root: Path) -> bool:
        return any(next(root.glob(pattern), None) for pattern in ("data/*.parquet", "*.parquet", "*/*.parquet"))
