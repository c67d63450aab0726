"""A data set of changed pictures and words, in the neutral format, so that the ordinary engine can ask about it.

All conditions lie in one folder: a split ``CONDITION.jsonl`` and its pictures in ``images/CONDITION/`` each. The
pictures are what a system sees of a file (RGB, 8 bits), written without loss.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from geoprose.core.errors import DataError
from geoprose.data.neutral import write_samples
from geoprose.evaluation.diagnostics.place import size_of
from geoprose.evaluation.tasks import ReaderSpec, TaskSpec
from geoprose.inference.features import open_picture

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from geoprose.core.types import JsonValue, Sample

Change = Callable[["NDArray[np.uint8]", np.random.Generator], "NDArray[np.uint8]"]
"""Pixels (H, W, 3) to changed pixels; what is drawn comes from the generator, which depends on the picture's path."""
RECIPE_KEY = "condition"
TRAIN = "train"


@dataclass(frozen=True)
class Condition:
    """The same questions, asked about changed pictures.

    Attributes:
        name: Name of the condition; it becomes the name of a split and of a folder.
        samples: The questions; their ids are those of the unchanged ones.
        recipe: Everything that the change depends on, as text: another recipe is another run.
        change: What happens to each picture; None for nothing.
        words: Words around the prompt, with ``{prompt}`` where the task's own words go; empty for none.
        change_mask: What happens to reference masks.
    """

    name: str
    samples: tuple[Sample, ...]
    recipe: str
    change: Change | None = None
    words: str = ""
    change_mask: Change | None = None


def write_condition(condition: Condition, data_dir: Path, derived_dir: Path) -> None:
    """Write the split and the pictures of a condition.

    Args:
        condition: The condition.
        data_dir: Folder that the pictures of its samples are relative to.
        derived_dir: Folder of the derived data set.

    Raises:
        DataError: If a picture cannot be read.
    """
    folder = derived_dir / "images" / condition.name
    folder.mkdir(parents=True, exist_ok=True)
    written: dict[str, tuple[str, tuple[int, int]]] = {}
    for image in dict.fromkeys(image for sample in condition.samples for image in sample.images):
        pixels = np.asarray(open_picture(data_dir / image))
        changed = pixels if condition.change is None else condition.change(pixels, generator_for(condition, image))
        path = f"images/{condition.name}/{hashlib.sha256(image.encode()).hexdigest()[:20]}.png"
        Image.fromarray(changed).save(derived_dir / path, compress_level=1)
        written[image] = path, (changed.shape[1], changed.shape[0])
    samples = []
    for sample in condition.samples:
        # A picture that stands in for another one is taken to be as large: boxes count in pixels of the sample's own.
        size = size_of(sample) or (written[sample.images[0]][1] if sample.images else None)
        meta: dict[str, JsonValue] = {**sample.meta, RECIPE_KEY: condition.recipe}
        meta |= {"size_px": list(size)} if size else {}
        if isinstance(mask := sample.meta.get("mask"), str):
            meta["mask"] = _write_mask(condition, mask, data_dir, derived_dir)
        images = tuple(written[image][0] for image in sample.images)
        samples.append(replace(sample, images=images, split=condition.name, georefs=(), meta=meta))
    write_samples(samples, derived_dir / f"{condition.name}.jsonl")


def generator_for(condition: Condition, image: str) -> np.random.Generator:
    """Return the generator of a picture: the same picture gets the same noise whatever else is asked."""
    digest = hashlib.sha256(f"{condition.recipe}\n{image}".encode()).digest()
    return np.random.default_rng(list(digest))


def write_train(task: TaskSpec, train: Sequence[Sample], data_dir: Path, derived_dir: Path) -> None:
    """Write the training samples: closed types take their labels from them, and solved examples are shown from them.

    Their pictures are linked, or copied where links cannot be made, and only where solved examples are shown.
    """
    if not train:
        return
    derived_dir.mkdir(parents=True, exist_ok=True)
    moved = []
    for sample in train:
        images = tuple(f"images/{TRAIN}/{hashlib.sha256(i.encode()).hexdigest()[:20]}.png" for i in sample.images)
        moved.append(replace(sample, images=images, split=TRAIN))
        if task.prompt.shots:
            for own, image in zip(images, sample.images, strict=True):
                _link(data_dir / image, derived_dir / own)
    write_samples(moved, derived_dir / f"{TRAIN}.jsonl")


def derived_task(task: TaskSpec, condition: Condition, has_train: bool) -> TaskSpec:
    """Return the task that asks the questions of a condition: what is asked and how it is scored stays the same.

    Args:
        task: The task.
        condition: The condition.
        has_train: Whether training samples were written.
    """
    prompt = task.prompt.model_copy(update={"is_multi_turn": False, "is_circular": False})  # expanded already
    types, other = task.types, task.other
    if condition.words:
        prompt = prompt.model_copy(update={"template": in_words(condition.words, prompt.template)})
        types = {
            name: spec.model_copy(update={"template": in_words(condition.words, spec.template)})
            if spec.template
            else spec
            for name, spec in types.items()
        }
        if other is not None and other.template:
            other = other.model_copy(update={"template": in_words(condition.words, other.template)})
    changes = {
        "reader": ReaderSpec(type="neutral"),
        "split": condition.name,
        "train_split": TRAIN if has_train else condition.name,
        "prompt": prompt,
        "types": types,
        "other": other,
        "baselines": (),
    }
    return task.model_copy(update=changes)


def in_words(words: str, template: str) -> str:
    """Return a template with words around it."""
    return words.replace("{prompt}", template)


def _write_mask(condition: Condition, mask: str, data_dir: Path, derived_dir: Path) -> str:
    target = f"masks/{condition.name}/{hashlib.sha256(mask.encode()).hexdigest()[:20]}.png"
    path = derived_dir / target
    if path.is_file():
        return target
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with Image.open(data_dir / mask) as picture:
            values = np.asarray(picture)
    except OSError as error:
        raise DataError(f"The mask {data_dir / mask} cannot be read: {error}. Check the data set.") from error
    if condition.change_mask is not None:
        values = condition.change_mask(values, generator_for(condition, mask))
    Image.fromarray(values).save(path)
    return target


def _link(source: Path, target: Path) -> None:
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.symlink_to(source.resolve())
    except OSError:  # a file system or an account without links
        shutil.copyfile(source, target)
