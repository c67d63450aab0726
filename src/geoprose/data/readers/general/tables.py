"""Rows of parquet files, as the hub shards them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoprose.core.errors import DataError, ResourceError
from geoprose.data.readers.base import fail_missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

Row = dict[str, Any]
ROWS_AT_ONCE = 16
"""Rows of a parquet file in memory; each may hold pictures."""

MAX_GROUP_BYTES = 8 << 30
"""Largest group of rows of a parquet file, decoded."""


def read_parquet(root: Path, patterns: Sequence[str], layout: str) -> Iterator[tuple[str, Row]]:
    """Yield place and content of the rows of all files that the first matching pattern finds, in order of their names.

    Args:
        root: Folder of the data set.
        patterns: Relative patterns of file names; the first that finds a file counts.
        layout: What to download, for the message.

    Raises:
        DataError: If no file is found, or one is broken.
        ResourceError: If pyarrow is not installed.
    """
    for pattern in patterns:
        if paths := sorted(root.glob(pattern)):
            for path in paths:
                yield from _parquet_rows(path, path.relative_to(root).as_posix())
            return
    fail_missing(root, " or ".join(patterns), layout)


def _parquet_rows(path: Path, name: str) -> Iterator[tuple[str, Row]]:
    try:
        from pyarrow import ArrowException  # type: ignore[import-untyped]  # ships no types
        from pyarrow.parquet import ParquetFile  # type: ignore[import-untyped]
    except ImportError as error:
        raise ResourceError(
            f"{name} is a parquet file, and pyarrow is not installed. `pip install pyarrow` (extra `eval`)."
        ) from error
    number = 0
    try:
        with ParquetFile(path) as table:
            groups = (table.metadata.row_group(place) for place in range(table.num_row_groups))
            if any(group.total_byte_size > MAX_GROUP_BYTES for group in groups):
                raise DataError(
                    f"{name} has a group of rows above {MAX_GROUP_BYTES} bytes. Write it with smaller ones."
                )
            for batch in table.iter_batches(batch_size=ROWS_AT_ONCE):
                for row in batch.to_pylist():
                    yield f"{name}, row {number}", row
                    number += 1
    except (ArrowException, OSError) as error:
        raise DataError(f"{name} cannot be read as parquet: {str(error)[:200]}. Download it again.") from error
