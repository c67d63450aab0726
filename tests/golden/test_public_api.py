"""The public names and their signatures, so that a change of the interface shows in a diff."""

from __future__ import annotations

import inspect
import os
from pathlib import Path

import geoprose

GOLDEN = Path(__file__).with_name("public_api.txt")


def _describe(name: str) -> str:
    item = getattr(geoprose, name)
    return f"{name}{inspect.signature(item)}" if callable(item) else f"{name}: {type(item).__name__}"


def test_public_signatures_are_the_recorded_ones() -> None:
    lines = "\n".join(_describe(name) for name in geoprose.__all__) + "\n"
    if os.environ.get("GEOPROSE_UPDATE_GOLDEN"):
        GOLDEN.write_text(lines)
    assert lines == GOLDEN.read_text()
