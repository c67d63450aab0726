"""Scene-naming and captioning questions from a folder with ``annotations.jsonl`` (RSICD, UCM and Sydney captions).

Each line of the file describes one image: ``{"file", "label", "captions": [...], "split"}``. The images stay where
they are; the data set folder links to them.
"""

from __future__ import annotations

import hashlib
import json
import re
from bisect import bisect_right
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import DataError
from geoprose.core.files import sha256_file, write_json
from geoprose.core.types import JsonValue, Message, Sample
from geoprose.data.neutral import write_samples
from geoprose.data.sentences.consensus import consensus

if TYPE_CHECKING:
    from collections.abc import Iterator

ANNOTATIONS = "annotations.jsonl"
SCENE_QUESTION = "What scene is this?"
CAPTION_QUESTION = "Describe the image."
LINK_NAME = "source"
CAPTION_WEIGHT = "rank in its scene by consensus, arXiv:1505.04467"
_JOINED_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")


def build_scene_captions(source_dir: Path, out_dir: Path, max_train_images: int | None = None) -> dict[str, JsonValue]:
    """Write ``train.jsonl``, ``val.jsonl``, ``test.jsonl`` and ``card.json`` into ``out_dir``.

    One sample per image names the scene (task ``scene``); its ``meta["cell_composition"]`` is one cell, the whole
    image, so that the label can supervise a connector. For training, one sample per distinct caption (task
    ``caption``) with its rank by ``consensus`` as ``meta["weight"]``: the share of its scene's captions that are not
    more typical; 0.9 is passed by the most typical tenth of every scene. For validation and test one caption sample
    per image, with every reference in ``meta["answers"]``.

    Args:
        source_dir: Folder with ``annotations.jsonl`` and the images it names.
        out_dir: New folder of the data set.
        max_train_images: Keep only so many training images, chosen by a hash of their names; None keeps all.

    Returns:
        The card: counts per split and task, the labels, what a weight means, and the hash of the annotations.

    Raises:
        DataError: If the annotations are missing or broken, or ``out_dir`` holds something else.
    """
    rows = list(_read(source_dir / ANNOTATIONS))
    left_out = _left_out(rows, max_train_images)
    if out_dir.exists() and not (out_dir / "card.json").is_file() and any(out_dir.iterdir()):
        raise DataError(f"{out_dir} holds something that is not a data set of geoprose. Give another folder.")
    out_dir.mkdir(parents=True, exist_ok=True)
    link = out_dir / LINK_NAME
    link.unlink(missing_ok=True)
    link.symlink_to(source_dir.resolve(), target_is_directory=True)
    counts: Counter[str] = Counter()
    for split in ("train", "val", "test"):
        kept = [row for row in rows if row["split"] == split and row["file"] not in left_out]
        samples = list(_training_samples(kept) if split == "train" else _judged_samples(kept))
        counts.update(f"{split}.{sample.task}" for sample in samples)
        write_samples(samples, out_dir / f"{split}.jsonl")
    labels: list[JsonValue] = [*sorted({words_of(str(row["label"])) for row in rows})]
    card: dict[str, JsonValue] = {
        "name": source_dir.name,
        "builder": "geoprose.data.scene_captions",
        "source_sha256": sha256_file(source_dir / ANNOTATIONS),
        "labels": labels,
        "counts": dict(sorted(counts.items())),
        "num_train_images_left_out": len(left_out),
        "caption_weight": CAPTION_WEIGHT,
        "licence": "as stated by the authors of the data set; not redistributed",
    }
    write_json(out_dir / "card.json", card)
    return card


def words_of(label: str) -> str:
    """Return a folder name as words: ``"DenseResidential"`` becomes ``"dense residential"``."""
    return " ".join(_JOINED_WORDS.sub(" ", label.replace("_", " ")).lower().split())


def _left_out(rows: list[dict[str, Any]], max_train_images: int | None) -> set[str]:
    """Return the training images beyond the limit, in the order of a hash, so that every label keeps its share."""
    if max_train_images is None:
        return set()
    files = [str(row["file"]) for row in rows if row["split"] == "train"]
    return set(sorted(files, key=lambda name: hashlib.sha256(name.encode()).hexdigest())[max_train_images:])


def _read(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        raise DataError(
            f"{path} does not exist. Each line must be an object with file, label, captions and split; for RSICD, "
            "make it from dataset_rsicd.json and the class lists of its authors."
        )
    with path.open(encoding="utf-8") as handle:
        for number, line in enumerate(handle, start=1):
            try:
                row = json.loads(line)
                complete = {key: row[key] for key in ("file", "label", "captions", "split")}
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(
                    f"{path}:{number} is not a whole record ({error!r}). Repair or remove the line."
                ) from error
            yield complete


def _training_samples(rows: list[dict[str, Any]]) -> Iterator[Sample]:
    """Yield the scene of each image, and each of its distinct captions with its rank in the scene as weight."""
    labels = [str(row["label"]) for row in rows]
    typical = consensus([_references(row) for row in rows], labels)
    scenes: dict[str, list[float]] = defaultdict(list)
    for values, label in zip(typical, labels, strict=True):
        scenes[label] += values.values()
    ranked = {label: sorted(values) for label, values in scenes.items()}
    for row, values, label in zip(rows, typical, labels, strict=True):
        yield _scene(row)
        for number, (caption, value) in enumerate(values.items()):
            weight = bisect_right(ranked[label], value) / len(ranked[label])
            yield _sample(row, f"caption-{number}", caption, _references(row), {"weight": weight})


def _judged_samples(rows: list[dict[str, Any]]) -> Iterator[Sample]:
    """Yield the scene of each image, and one question for its caption."""
    for row in rows:
        yield _scene(row)
        if references := _references(row):
            yield _sample(row, "caption-0", references[0], references)


def _references(row: dict[str, Any]) -> list[str]:
    return [" ".join(caption.split()) for caption in row["captions"]]


def _scene(row: dict[str, Any]) -> Sample:
    name = words_of(row["label"])
    return _sample(row, "scene", name, [name], {"cell_composition": [{name: 1.0}]})


def _sample(
    row: dict[str, Any], name: str, answer: str, accepted: list[str], more: dict[str, JsonValue] | None = None
) -> Sample:
    """Return the sample ``name`` of an image: ``scene``, or ``caption`` and a number."""
    task = name.partition("-")[0]
    question = SCENE_QUESTION if task == "scene" else CAPTION_QUESTION
    answers: list[JsonValue] = list(accepted)
    return Sample(
        id=f"{Path(row['file']).stem}-{name}",
        images=(f"{LINK_NAME}/{row['file']}",),
        messages=(Message("user", f"<image>\n{question}"), Message("assistant", answer)),
        task=task,
        split=row["split"],
        georefs=(None,),
        meta={"answer": answer, "answers": answers, **(more or {})},
    )
