"""Caption sets in Karpathy's JSON: RSICD, UCM captions, Sydney captions, RSITMD; and NWPU captions, keyed by class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from geoprose.core.errors import ConfigError
from geoprose.core.registry import unknown_name_message
from geoprose.data.readers.base import check_split
from geoprose.data.readers.files import first_present, inside, join, read_json
from geoprose.data.readers.picture import Picture
from geoprose.data.readers.retrieval import retrieval_samples
from geoprose.data.records import fail, items, mapping, text
from geoprose.data.scene_captions import CAPTION_QUESTION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from geoprose.core.types import JsonValue, Sample


@dataclass(frozen=True)
class CaptionSet:
    """What is published of one set.

    Attributes:
        title: Name of the set.
        source: Paper.
        download: Where it is.
        annotations: Names of the annotation file, the published one first.
        images: Folders of the pictures, the published one first.
        note: What a reader of its scores should know.
    """

    title: str
    source: str
    download: str
    annotations: tuple[str, ...]
    images: tuple[str, ...]
    note: str = ""


CAPTION_SETS: Mapping[str, CaptionSet] = {
    "rsicd": CaptionSet(
        "RSICD",
        "Lu et al., TGRS 2018",
        "https://github.com/201528014227051/RSICD_optimal",
        ("dataset_rsicd.json", "annotations_rsicd/dataset_rsicd.json"),
        ("RSICD_images", "images"),
        "10,921 pictures, 1,093 in test; it holds all 10,000 pictures of AID, so neither is a hold-out of the other.",
    ),
    "ucm-captions": CaptionSet(
        "UCM captions",
        "Qu et al., CITS 2016",
        "https://github.com/201528014227051/RSICD_optimal",
        ("dataset.json", "dataset_ucm.json", "dataset_UCM.json"),
        ("imgs", "images"),
        "2,100 pictures, 210 in test; the pictures of UC Merced Land Use.",
    ),
    "sydney-captions": CaptionSet(
        "Sydney captions",
        "Qu et al., CITS 2016",
        "https://github.com/201528014227051/RSICD_optimal",
        ("dataset.json", "dataset_sydney.json"),
        ("imgs", "images"),
        "613 pictures, 58 in test.",
    ),
    "rsitmd": CaptionSet(
        "RSITMD",
        "Yuan et al., TGRS 2021",
        "https://github.com/xiaoyuan1996/AMFMN",
        ("dataset_RSITMD.json", "dataset_rsitmd.json"),
        ("images",),
        "4,743 pictures, 452 in test.",
    ),
    "nwpu-captions": CaptionSet(
        "NWPU captions",
        "Cheng et al., TGRS 2022",
        "https://github.com/HaiyanHuang98/NWPU-Captions",
        ("dataset_nwpu.json",),
        ("NWPU_images", "images"),
        "31,500 pictures, 3,150 in test.",
    ),
}
"""The sets by name."""


class KarpathyReader:
    """Reads captions as questions, or as queries of retrieval.

    A file name that occurs twice in a split is one picture with the captions of both entries.

    Args:
        data_set: Which set; a name of CAPTION_SETS.
        what: ``caption`` or ``retrieval``.
    """

    splits = ("train", "val", "test")

    def __init__(self, *, data_set: str = "rsicd", what: Literal["caption", "retrieval"] = "caption") -> None:
        if data_set not in CAPTION_SETS:
            raise ConfigError(unknown_name_message("caption set", data_set, CAPTION_SETS))
        if what not in ("caption", "retrieval"):
            raise ConfigError(f"what is {what!r}; choose caption or retrieval.")
        self.data_set, self.what = CAPTION_SETS[data_set], what
        self.layout = (
            f"{self.data_set.title} from {self.data_set.download}: {self.data_set.annotations[0]} and the pictures in "
            f"{self.data_set.images[0]}/ ({self.data_set.note})"
        )

    def read(self, root: Path, split: str) -> Iterator[Sample]:
        """Yield one question per picture, or the queries of both ways."""
        check_split(split, self.splits, self.layout)
        captioned = self._captioned(root, split)
        if self.what == "retrieval":
            yield from retrieval_samples(captioned)
            return
        for picture, captions in captioned:
            yield picture.ask("caption", CAPTION_QUESTION, captions)

    def _captioned(self, root: Path, split: str) -> list[tuple[Picture, list[str]]]:
        name = first_present(root, self.data_set.annotations, self.layout)
        folder = first_present(root, self.data_set.images, self.layout)
        captions: dict[str, list[str]] = {}
        labels: dict[str, str] = {}
        for entry in _entries(read_json(root, name, self.layout), name):
            if entry.split == split:
                captions.setdefault(entry.file, []).extend(entry.captions)
                labels[entry.file] = entry.label
        pictures = []
        for file, sentences in captions.items():
            if not sentences:
                fail(name, f"{file} has no caption")
            facts: dict[str, JsonValue] = {"domain": self.data_set.title}
            path = _path(root, folder, labels[file], file)
            pictures.append((Picture(file.rsplit(".", 1)[0], (path,), split, facts), sentences))
        return pictures


@dataclass(frozen=True)
class _Entry:
    file: str
    split: str
    captions: list[str]
    label: str = ""


def _entries(document: Any, name: str) -> Iterator[_Entry]:
    content = mapping(document, name, "the document")
    if "images" in content:
        for number, value in enumerate(items(content["images"], name, "images")):
            where = f"{name}, image {number}"
            entry = mapping(value, where, "the image")
            sentences = [mapping(each, where, "sentence") for each in items(entry.get("sentences"), where, "sentences")]
            captions = [text(sentence.get("raw"), where, "raw") for sentence in sentences]
            yield _Entry(inside(entry.get("filename"), where), str(entry.get("split")), _clean(captions))
        return
    for label, values in content.items():  # NWPU captions: one list per class, captions in raw, raw_1, ... raw_4
        for number, value in enumerate(items(values, name, label)):
            where = f"{name}, {label} {number}"
            entry = mapping(value, where, "the picture")
            captions = [text(entry[key], where, key) for key in sorted(entry) if key.startswith("raw")]
            yield _Entry(inside(entry.get("filename"), where), str(entry.get("split")), _clean(captions), label)


def _clean(captions: list[str]) -> list[str]:
    return [" ".join(caption.split()) for caption in captions if caption.strip()]


def _path(root: Path, folder: str, label: str, file: str) -> str:
    nested = join(folder, label, file)
    return nested if label and (root / nested).is_file() else join(folder, file)
