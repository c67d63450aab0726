"""Which public data sets can be read, how they must lie on disk, and which tasks ask about them."""

from __future__ import annotations

from dataclasses import dataclass

from geoprose.data.readers.registry import READERS, build_reader
from geoprose.evaluation.tasks import ReaderSpec, list_tasks, load_task


@dataclass(frozen=True)
class DataSetEntry:
    """One layout on disk.

    Attributes:
        reader: Name in the table of readers.
        layout: What to download, and the files and folders that must be there.
        splits: Splits that the layout has.
        tasks: Tasks that ask about it; none where it only trains.
    """

    reader: str
    layout: str
    splits: tuple[str, ...]
    tasks: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Return the JSON object of the entry."""
        return {
            "reader": self.reader,
            "layout": self.layout,
            "splits": list(self.splits),
            "tasks": list(self.tasks),
        }


def list_data_sets() -> list[DataSetEntry]:
    """Return every layout that a reader knows, by reader; nothing on disk is looked at."""
    tasks: dict[tuple[str, str], list[str]] = {}
    splits: dict[tuple[str, str], tuple[str, ...]] = {}
    uses = [(name, load_task(name).reader) for name in list_tasks()]
    known = {spec.type for _, spec in uses}
    bare = [("", ReaderSpec(type=reader)) for reader in READERS.names() if reader not in known]
    for task, spec in [*uses, *bare]:
        built = build_reader(spec.type, spec.options)
        key = (spec.type, built.layout)
        splits[key] = tuple(built.splits)
        tasks.setdefault(key, []).extend([task] if task else [])
    return [DataSetEntry(*key, splits[key], tuple(tasks[key])) for key in sorted(tasks)]
