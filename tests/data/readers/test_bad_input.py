"""Every value of every annotation file, taken away or replaced: readers read on or name the fault, and never crash."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from geoprose.core.errors import DataError
from geoprose.data.readers.registry import build_reader
from tests.data.readers.test_registry import MINIATURES
from tests.fixtures import layouts
from tests.fixtures.damaged_json import GONE, damaged

if TYPE_CHECKING:
    from pathlib import Path

FEW: tuple[Any, ...] = (GONE, [])
MANY: tuple[Any, ...] = (None, 5, -1.5, "x", "", {}, True)
READER_OF = {"nwpu": "karpathy", "geochat": "geochat_bench"}
CASES = {
    **{name: case[:3] for name, case in MINIATURES.items() if name not in ("neutral", "rs5m", "samrs", "dota")},
    "karpathy retrieval": (MINIATURES["karpathy"][0], "test", {"what": "retrieval"}),
    "nwpu": (layouts.nwpu_captions, "test", {"data_set": "nwpu-captions"}),
    "geochat lrben": (MINIATURES["geochat_bench"][0], "test", {"what": "lrben"}),
    "geochat aid": (MINIATURES["geochat_bench"][0], "test", {"what": "aid"}),
    "geochat region": (MINIATURES["geochat_bench"][0], "test", {"what": "region_captioning"}),
    "vrsbench referring": (MINIATURES["vrsbench"][0], "val", {"what": "referring"}),
    "vrsbench train": (MINIATURES["vrsbench"][0], "train", {"what": "referring", "reference": "corners"}),
    "vrsbench train qa": (MINIATURES["vrsbench"][0], "train", {"what": "qa"}),
    "annotations boxes": (MINIATURES["annotations"][0], "test", {"what": "pope"}),
    "annotations qa": (MINIATURES["annotations"][0], "test", {"what": "qa"}),
    "annotations caption": (MINIATURES["annotations"][0], "test", {"what": "retrieval"}),
    "annotations change": (MINIATURES["annotations"][0], "test", {"what": "mask"}),
}


@pytest.mark.parametrize("others", [FEW, pytest.param(MANY, marks=pytest.mark.slow)], ids=["few", "many"])
@pytest.mark.parametrize("name", CASES)
def test_no_value_makes_a_reader_crash(name: str, others: tuple[Any, ...], tmp_path: Path) -> None:
    make, split, options = CASES[name]
    root = make(tmp_path)
    files = [path for path in root.rglob("*.json*") if path.stat().st_size < 4000]
    for path in files:
        before = path.read_text()
        for variant in damaged(path, others):
            path.write_text(variant)
            with contextlib.suppress(DataError):  # anything else is a crash
                list(build_reader(READER_OF.get(name.split()[0], name.split()[0]), options).read(root, split))
        path.write_text(before)
