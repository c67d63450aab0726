"""The neutral format of geoprose: ``<split>.jsonl`` beside the pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.data.neutral import SPLITS, read_samples
from geoprose.data.readers.base import fail_missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from geoprose.core.types import Sample


class NeutralReader:
    """Reads what `geoprose data build` wrote."""

    layout = "a folder with train.jsonl, val.jsonl or test.jsonl in the neutral format, as `data build` writes."
    splits = SPLITS

    def read(self, root: Path, split: str) -> Iterator[Sample]:
        """Yield the samples of ``<split>.jsonl``."""
        path = root / f"{split}.jsonl"
        if not path.is_file():
            fail_missing(root, path.name, self.layout)
        yield from read_samples(path)
