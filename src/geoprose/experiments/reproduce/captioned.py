"""Pictures with captions and a scene name: what the three experiments train and test on.

A tile of the world is captioned from its land cover; a folder in the layout of RSICD brings its own captions.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geoprose.core.errors import DataError
from geoprose.core.files import write_json
from geoprose.data.neutral import SPLITS, read_samples, write_samples
from geoprose.data.readers.picture import Picture
from geoprose.data.readers.retrieval import retrieval_samples
from geoprose.data.scene_captions import ANNOTATIONS, CAPTION_QUESTION, LINK_NAME, build_scene_captions
from geoprose.data.world.scene import SCENE_NAME
from geoprose.experiments.reproduce.land_cover_words import NAMED, land_cover_caption, shares_of
from geoprose.experiments.world import packaged_world

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from geoprose.core.types import Sample
    from geoprose.experiments.reproduce.base import Workplace

CAPTION = "caption"
SHUFFLED, MISPAIRED = "shuffled", "mispaired"
"""Files of the controls: the retrieval of test pictures, and the training pairs, with each other's pictures."""
_CARD = "pictures.json"


@dataclass(frozen=True)
class CaptionedPicture:
    """One picture.

    Attributes:
        id: Unique within its split.
        image: Path below the data set's folder.
        split: Split.
        captions: At least one.
        label: Name of the scene; empty where none is known.
        cells: Share of each land-cover class in each cell of the tile; empty where that is not known.
    """

    id: str
    image: str
    split: str
    captions: tuple[str, ...]
    label: str = ""
    cells: tuple[Mapping[str, float], ...] = ()


def build_captioned(out_dir: Path, source_dir: Path, limit: int | None) -> Path:
    """Write the data set of an experiment unless it is there: captions of every split, and the retrieval of the test.

    ``train.jsonl``, ``val.jsonl``, ``test.jsonl`` hold samples of task ``caption``; the last two also those of
    retrieval. ``shuffled.jsonl`` and ``mispaired.jsonl`` hold the retrieval of the test and the training captions with
    each other's pictures.

    Args:
        out_dir: Folder to write; ``source`` in it links to the pictures.
        source_dir: A built world, or a folder with ``annotations.jsonl`` in the layout of RSICD.
        limit: Keep only so many training pictures, the same ones every time; None keeps all.

    Raises:
        DataError: If a split has no picture, or the source is broken.
    """
    if (out_dir / _CARD).is_file():
        return out_dir
    if (source_dir / ANNOTATIONS).is_file():
        build_scene_captions(source_dir, out_dir, limit)
        pictures = _scene_pictures(out_dir)
    elif (source_dir / SCENE_NAME).is_file():
        pictures = _world_pictures(source_dir, out_dir, limit)
    else:
        raise DataError(f"{source_dir} is no built world and holds no {ANNOTATIONS}. Give the folder of one of them.")
    by_split = {split: [picture for picture in pictures if picture.split == split] for split in SPLITS}
    if missing := [split for split, found in by_split.items() if not found]:
        raise DataError(f"{source_dir} has no picture for {', '.join(missing)}; every split is needed.")
    for split, found in by_split.items():
        queries = [] if split == "train" else _retrieval(found)
        write_samples([*_caption_samples(found), *queries], out_dir / f"{split}.jsonl")
    write_samples(_retrieval(_exchanged(by_split["test"])), out_dir / f"{SHUFFLED}.jsonl")
    write_samples(_caption_samples(_exchanged(by_split["train"])), out_dir / f"{MISPAIRED}.jsonl")
    write_json(out_dir / _CARD, [vars(picture) for picture in pictures])
    return out_dir


def prepared(work: Workplace, limit: int | None) -> Path:
    """Return the experiment's data set, built on first use: of the packaged world, or of the folder that was given."""
    folder = work.out_dir / "data"
    if not (folder / _CARD).is_file():
        build_captioned(folder, work.data_dir or packaged_world(work.out_dir / "world"), limit)
    return folder


def read_captioned(data_dir: Path) -> list[CaptionedPicture]:
    """Return the pictures that ``build_captioned`` wrote."""
    rows = json.loads((data_dir / _CARD).read_text(encoding="utf-8"))
    return [
        CaptionedPicture(**{**row, "captions": tuple(row["captions"]), "cells": tuple(row["cells"])}) for row in rows
    ]


def has_land_cover(pictures: Iterable[CaptionedPicture]) -> bool:
    """Tell whether the pictures are tiles of the world."""
    return any(picture.cells for picture in pictures)


def clear_label(cells: Sequence[Mapping[str, float]], least: float = 0.5) -> str:
    """Return the class that covers at least this share of the cells; empty when none does."""
    totals: dict[str, float] = defaultdict(float)
    for cell in cells:
        for name, share in cell.items():
            totals[name] += float(share) / len(cells)
    best = max(totals, key=lambda name: totals[name], default="")
    return best if best and totals[best] >= least else ""


def _world_pictures(world_dir: Path, out_dir: Path, limit: int | None) -> list[CaptionedPicture]:
    out_dir.mkdir(parents=True, exist_ok=True)
    link = out_dir / LINK_NAME
    link.unlink(missing_ok=True)
    link.symlink_to(world_dir.resolve(), target_is_directory=True)
    pictures: list[CaptionedPicture] = []
    for split in SPLITS:
        seen = {sample.images[0]: sample for sample in read_samples(world_dir / f"{split}.jsonl") if _is_plain(sample)}
        found = [_tile_picture(image, sample) for image, sample in sorted(seen.items())]
        named = [picture for picture in found if shares_of(picture.cells).mean((0, 1)).max() >= NAMED]
        pictures += named if split != "train" or limit is None else named[:: max(1, -(-len(named) // limit))]
    return pictures


def _is_plain(sample: Sample) -> bool:
    return len(sample.images) == 1 and not sample.meta.get("augmented")


def _tile_picture(image: str, sample: Sample) -> CaptionedPicture:
    cells: list[Mapping[str, float]] = json.loads(json.dumps(sample.meta["cell_composition"]))
    name = image.rsplit("/", 1)[-1].split(".")[0]
    caption = land_cover_caption(cells)
    return CaptionedPicture(name, f"{LINK_NAME}/{image}", sample.split, (caption,), clear_label(cells), tuple(cells))


def _scene_pictures(data_dir: Path) -> list[CaptionedPicture]:
    """Return the pictures of a set of scenes, with the captions as ``build_scene_captions`` cleaned them."""
    captions: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    labels: dict[tuple[str, str], str] = {}
    for split in SPLITS:
        for sample in read_samples(data_dir / f"{split}.jsonl"):
            key = (split, sample.images[0])
            if sample.task == CAPTION:
                captions[key].update(dict.fromkeys(_texts(sample)))
            else:
                labels[key] = str(sample.meta["answer"])
    return [
        CaptionedPicture(image.removeprefix(f"{LINK_NAME}/"), image, split, tuple(own), labels.get((split, image), ""))
        for (split, image), own in captions.items()
    ]


def _texts(sample: Sample) -> list[str]:
    answers = sample.meta["answers"]
    assert isinstance(answers, list)
    return [str(answer) for answer in answers]


def _caption_samples(pictures: Iterable[CaptionedPicture]) -> list[Sample]:
    """Return one sample per caption for training, else one per picture with every caption as an answer."""
    samples = []
    for picture in pictures:
        asked = Picture(picture.id, (picture.image,), picture.split)
        texts = picture.captions
        groups = [(text,) for text in texts] if picture.split == "train" else [texts]
        samples += [
            asked.ask(CAPTION, CAPTION_QUESTION, group, f"{CAPTION}-{number}") for number, group in enumerate(groups)
        ]
    return samples


def _retrieval(pictures: Sequence[CaptionedPicture]) -> list[Sample]:
    return list(retrieval_samples([(Picture(p.id, (p.image,), p.split), p.captions) for p in pictures]))


def _exchanged(pictures: Sequence[CaptionedPicture]) -> list[CaptionedPicture]:
    """Give every picture the pixels of the one half the list further on, so that its captions are another's."""
    half = len(pictures) // 2
    turned = [*pictures[half:], *pictures[:half]]
    return [CaptionedPicture(p.id, other.image, p.split, p.captions) for p, other in zip(pictures, turned, strict=True)]
