"""What every reader of a public layout is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, Protocol

from geoprose.core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from geoprose.core.types import Sample


class Reader(Protocol):
    """Reads one public folder layout, as its authors publish it.

    A reader takes its options as keyword arguments, each with a default: a task's YAML names them. It yields the bare
    question; a task's prompt adds its own words. Paths in ``Sample.images`` are relative to the root.
    """

    layout: str
    """What to download, from where, and the folders and files that must lie below the root."""
    splits: tuple[str, ...]
    """Splits that the layout has, e.g. ``("train", "val", "test")``."""

    def read(self, root: Path, split: str) -> Iterator[Sample]:
        """Yield the samples of a split, in a fixed order.

        Raises:
            DataError: If a file is missing or broken; the message says what to download and where to put it.
        """
        ...


def check_split(split: str, splits: Sequence[str], layout: str) -> None:
    """Refuse a split that a layout does not have.

    Raises:
        DataError: Naming the splits it has.
    """
    if split not in splits:
        raise DataError(f"There is no split {split!r}; there are {', '.join(splits)}. Expected layout: {layout}")


def fail_missing(root: Path, missing: Path | str, layout: str) -> NoReturn:
    """Say what is missing below ``root``, and what to download and where to put it.

    Raises:
        DataError: Always.
    """
    raise DataError(f"{root} lacks {missing}. Expected layout: {layout}")
