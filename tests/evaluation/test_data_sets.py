from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.data.readers.registry import READERS
from geoprose.evaluation.data_sets import list_data_sets
from geoprose.evaluation.suite import list_suites
from geoprose.evaluation.tasks import list_tasks

if TYPE_CHECKING:
    from pathlib import Path


def test_every_reader_and_task_is_listed_once() -> None:
    entries = list_data_sets()
    assert {entry.reader for entry in entries} == set(READERS.names())
    tasks = [task for entry in entries for task in entry.tasks]
    assert sorted(tasks) == list(list_tasks())
    assert len({(entry.reader, entry.layout) for entry in entries}) == len(entries)


def test_the_page_names_the_readers_of_remote_sensing_and_their_suites(repository: Path) -> None:
    page = (repository / "docs" / "reference" / "data-sets.md").read_text()
    suites = [
        name for name in list_suites() if name.startswith("rs-") or name in ("geochat-bench", "vrsbench", "samples")
    ]
    readers = ("scene_folders", "karpathy", "rsvqa", "vrsbench", "geochat_bench", "dior_rsvg", "samrs", "annotations")
    for name in (*suites, *readers):
        assert f"`{name}`" in page, name
