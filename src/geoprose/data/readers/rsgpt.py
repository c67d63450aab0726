"""RSICap (training) and RSIEval (evaluation) of RSGPT: long captions, and questions written by people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from geoprose.core.errors import ConfigError
from geoprose.data.readers.base import check_split
from geoprose.data.readers.files import inside, join, read_entries
from geoprose.data.readers.picture import Picture
from geoprose.data.records import fail, items, mapping, text
from geoprose.data.scene_captions import CAPTION_QUESTION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from geoprose.core.types import Sample

FILES = {"train": ("RSICap", "captions.json"), "test": ("RSIEval", "annotations.json")}
"""Folder and annotation file of each split."""


class RsgptReader:
    """Reads RSICap as ``train`` (captions) and RSIEval as ``test`` (captions, questions).

    Args:
        what: ``caption`` or ``qa``; RSICap has captions only.

    Source: Hu et al., "RSGPT: A Remote Sensing Vision Language Model and Benchmark", 2023; files of Lavender105/RSGPT.
    """

    layout = (
        "the folder dataset/ of https://github.com/Lavender105/RSGPT: RSICap/captions.json, RSICap/images/ "
        "(2,585 pictures) and RSIEval/annotations.json, RSIEval/images/ (100 pictures, 936 questions)."
    )
    splits = ("train", "test")

    def __init__(self, *, what: Literal["caption", "qa"] = "caption") -> None:
        if what not in ("caption", "qa"):
            raise ConfigError(f"what is {what!r}; choose caption or qa.")
        self.what = what

    def read(self, root: Path, split: str) -> Iterator[Sample]:
        """Yield one question per picture, or per question about it."""
        check_split(split, self.splits, self.layout)
        folder, file = FILES[split]
        name = join(folder, file)
        for number, entry in enumerate(read_entries(root, name, self.layout, "annotations")):
            where = f"{name}, annotation {number}"
            image = inside(entry.get("filename"), where)
            picture = Picture(f"{number}-{image}", (join(folder, "images", image),), split, {"domain": folder})
            if self.what == "caption":
                caption = text(entry.get("caption", entry.get("text_output")), where, "caption")
                yield picture.ask("caption", str(entry.get("text_input") or CAPTION_QUESTION), [caption])
                continue
            for place, value in enumerate(items(entry.get("qa_pairs", []), where, "qa_pairs")):
                pair = mapping(value, where, "question")
                answer = text(pair.get("answer"), where, "answer").strip()
                if not answer:
                    fail(where, f"question {place} has no answer")
                kind = text(pair.get("type"), where, "type")
                yield picture.ask(kind, text(pair.get("question"), where, "question"), [answer], f"q{place}")
