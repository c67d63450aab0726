"""Drawn records for every source of a recipe: coloured squares, questions about them, what its losses compare with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from geoprose.core.types import Message, Sample
from geoprose.data.neutral import write_samples
from geoprose.systems.build import build_meta_model
from geoprose.systems.presets import load_preset
from geoprose.systems.tiny import tiny_spec

if TYPE_CHECKING:
    from geoprose.training.specs.recipe import RecipeSpec

COLOURS = {"water": (20, 40, 160), "forest": (20, 110, 40), "desert": (210, 180, 120)}
SIDE, CELL_PX = 4, 14
PICTURES = 6
TASKS = ("presence", "dominant", "caption")
PREFERRING = ("dpo", "mpo", "kto", "reward_pairs")


@dataclass
class _Wanted:
    """What the records of one file must hold."""

    tasks: list[str] = field(default_factory=list)
    pictures: int = 1
    losses: list[Any] = field(default_factory=list)
    system: Any = None

    def loss(self, kind: str) -> Any:
        """Return the loss of a kind, or None."""
        return next((loss for loss in self.losses if loss.type == kind), None)


def write_tiny_data(recipe: RecipeSpec, folder: Path) -> Path:
    """Write every records file that the recipe's sources name, with its pictures; return the folder."""
    spec = load_preset(recipe.system)
    system = tiny_spec(spec) if spec.kind == "composite" else spec
    wanted: dict[str, _Wanted] = {}
    for stage in recipe.stages:
        for source in stage.data:
            entry = wanted.setdefault(source.path, _Wanted(system=system))
            entry.tasks += [task for task in source.tasks or TASKS if task not in entry.tasks]
            entry.pictures = max(entry.pictures, source.min_images or 1)
            entry.losses += stage.losses
    for path, entry in wanted.items():
        write_samples(_samples((folder / path).parent, Path(path).stem, entry), folder / path)
    return folder


def _samples(folder: Path, stem: str, wanted: _Wanted) -> list[Sample]:
    random = np.random.default_rng(int(hashlib.sha256(stem.encode()).hexdigest()[:8], 16))
    samples = []
    for number in range(PICTURES):
        counts = sorted({1, wanted.pictures})
        for count in counts:
            drawn = [_draw(folder, f"{stem}-{number}-{count}-{place}", random) for place in range(count)]
            samples += _questions(f"{number}-{count}", drawn, wanted, folder)
    return samples


def _draw(folder: Path, name: str, random: np.random.Generator) -> tuple[str, np.ndarray]:
    """Draw a picture of 4 x 4 coloured cells; return its path and the class of each cell."""
    cells = random.integers(0, len(COLOURS), (SIDE, SIDE))
    pixels = np.array(list(COLOURS.values()), dtype=np.uint8)[cells].repeat(CELL_PX, 0).repeat(CELL_PX, 1)
    path = f"images/{name}.png"
    (folder / "images").mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(folder / path)
    return path, cells


def _questions(stem: str, drawn: list[tuple[str, np.ndarray]], wanted: _Wanted, folder: Path) -> list[Sample]:
    names, cells = list(COLOURS), drawn[0][1]
    most = names[int(np.bincount(cells.ravel(), minlength=len(names)).argmax())]
    answers = {"presence": "yes" if most == "water" else "no", "dominant": most, "caption": f"Mostly {most} here."}
    labels = [[[{names[value]: 1.0} for value in row] for row in own.tolist()] for _, own in drawn]
    samples = []
    for task in wanted.tasks:
        answer = answers.get(task, most)
        extra = _extra(f"{stem}-{task}", answer, wanted, folder)
        marks = "<image>\n" * len(drawn)
        messages = (
            Message("user", f"{marks}What is here ({task})?"),
            Message("assistant", extra.pop("answer", answer)),
        )
        paths = tuple(path for path, _ in drawn)
        values = {"cell_composition": labels, "weight": 1.0, **extra}
        samples.append(Sample(f"{stem}-{task}", paths, messages, task, "train", (None,) * len(paths), values))
    return samples


def _extra(name: str, answer: str, wanted: _Wanted, folder: Path) -> dict[str, Any]:
    """Return what the losses of the file's stages read beside a conversation."""
    extra: dict[str, Any] = {}
    if any(wanted.loss(kind) for kind in PREFERRING):
        extra["rejected"] = f"not {answer}"
    signal, bound = wanted.loss("signal_mse"), wanted.loss("imagebind_infonce")
    if signal is not None:
        spec = wanted.system.signals[signal.signal]
        target = _array(folder, f"{name}-signal", (spec.output_tokens, spec.output_size))
        extra |= {"answer": f"{answer} {''.join(spec.tokens())}", "signals": {signal.signal: [target]}}
    if bound is not None:
        shape = _input_shapes(wanted.system.name)[bound.modality]
        extra["media"] = {bound.modality: [_array(folder, f"{name}-{bound.modality}", shape)]}
    return extra


def _array(folder: Path, name: str, shape: tuple[int, ...]) -> str:
    """Write an array that depends on its name only; return its path."""
    seed = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)
    (folder / "arrays").mkdir(parents=True, exist_ok=True)
    np.save(folder / "arrays" / f"{name}.npy", np.random.default_rng(seed).normal(size=shape).astype(np.float32))
    return f"arrays/{name}.npy"


@cache
def _input_shapes(system: str) -> dict[str, tuple[int, ...]]:
    model = build_meta_model(tiny_spec(load_preset(system)))
    own = {name: branch.encoder for name, branch in model.model.branches.items() if branch.encoder is not None}
    return {name: tuple(encoder.tower.stem.input_shape) for name, encoder in own.items()}
