"""Turn complete rows into items that metrics judge: sizes of pictures, box formats, numbers that are no numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

from geoprose.answers.codecs import get_codec, guess_codec
from geoprose.core.errors import TaskError
from geoprose.evaluation.metrics.base import Item

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from geoprose.core.types import JsonValue
    from geoprose.evaluation.layouts.base import Layout, PredictionRow
    from geoprose.evaluation.score.request import ScoreRequest
    from geoprose.evaluation.tasks import TaskSpec

T = TypeVar("T")

GUESSED_FROM = 200
"""Answers that are looked at to tell a box format."""

MAX_SHARED = 100_000
"""Different texts that are kept once instead of once for each row."""


class ItemMaker:
    """Makes items of rows.

    Args:
        request: Sizes and folders that the user named.
        codecs: Box format of the answers, and of references given as text.
        choices: Answers of the closed types.
        root: Folder that paths in the rows' meta are relative to.
    """

    def __init__(
        self,
        request: ScoreRequest,
        codecs: tuple[str, str],
        choices: Mapping[str, frozenset[str]],
        root: Path | None = None,
    ) -> None:
        self._request, self._choices, self._root = request, choices, root
        self._codec, self._reference_codec = codecs
        self._sizes: dict[str, tuple[int, int] | None] = {}
        self._texts: dict[str, str] = {}
        self._references: dict[tuple[str, ...], tuple[str, ...]] = {}
        self.not_finite = 0
        """Rows whose scores held NaN or infinity; those entries are left out."""

    def make(self, row: PredictionRow) -> Item:
        """Return the item of a row.

        Raises:
            TaskError: If its reference boxes are in pixels and nothing says how large the picture is.
        """
        size_px = self._size(row)
        if size_px is None and "boxes" in row.meta and get_codec(self._codec).scale is not None:
            raise TaskError(
                f"The reference boxes of {row.id} are in pixels, the answers are not, and the size of the picture "
                f"{row.image or '(not named)'} is unknown. Give --images DIR or --size WIDTHxHEIGHT."
            )
        return Item(
            id=row.id,
            prediction=_once(self._texts, row.prediction),
            references=_once(self._references, row.references),
            size_px=size_px,
            choices=self._choices.get(row.type, frozenset()),
            scores=self._finite(row.scores) if row.scores else row.scores,
            codec=self._codec,
            reference_codec=self._reference_codec,
            meta=_with_answers(row),
            root=self._root,
        )

    def _finite(self, scores: Mapping[str, float]) -> Mapping[str, float]:
        kept = {name: score for name, score in scores.items() if math.isfinite(score)}
        self.not_finite += len(kept) < len(scores)
        return kept

    def _size(self, row: PredictionRow) -> tuple[int, int] | None:
        size = row.meta.get("size_px")
        if isinstance(size, list) and len(size) == 2:
            return int(str(size[0])), int(str(size[1]))
        if self._request.size_px is not None:
            return self._request.size_px
        folder = self._request.images or self._root
        if folder is None or not row.image or not ("boxes" in row.meta or "mask" in row.meta):
            return None
        if row.image not in self._sizes:
            self._sizes[row.image] = _size_of_picture(folder, row.image)
        return self._sizes[row.image]


def choose_codecs(
    request: ScoreRequest, layout: Layout, task: TaskSpec, rows: Iterable[PredictionRow]
) -> tuple[str, str, str]:
    """Return the box format of the answers, that of references given as text, and how the first was chosen.

    Args:
        request: Names a format, or none.
        layout: Knows the format of its kit, or none.
        task: Its format stands for both where nothing else is known.
        rows: The first rows; unmistakable spellings in them tell a format.

    Raises:
        ConfigError: If the format that the user named is unknown.
    """
    reference = layout.reference_codec or task.box_codec
    if request.codec:
        get_codec(request.codec)
        return request.codec, reference, "named"
    if layout.codec:
        return layout.codec, reference, f"that of the {layout.name} layout"
    guessed = next((codec for row in rows if (codec := guess_codec(row.prediction))), None)
    if guessed:
        return guessed, reference, "told from the answers"
    return task.box_codec, reference, "that of the task"


def _with_answers(row: PredictionRow) -> Mapping[str, JsonValue]:
    """Several references of a row are its accepted answers, repeats kept: votes of annotators are counted from them."""
    if len(row.references) < 2 or "answers" in row.meta:
        return row.meta
    return {**row.meta, "answers": list(row.references)}


def _size_of_picture(folder: Path, image: str) -> tuple[int, int] | None:
    """Read the size in the header of a picture; kits leave out the suffix, so the usual ones are tried."""
    from PIL import Image, UnidentifiedImageError

    for suffix in ("", ".png", ".jpg", ".tif", ".tiff", ".jpeg"):
        path = (folder / f"{image}{suffix}").resolve()
        if path.is_relative_to(folder.resolve()) and path.is_file():
            try:
                with Image.open(path) as picture:
                    return picture.size
            except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
                return None
    return None


def _once(known: dict[T, T], value: T) -> T:
    return known.setdefault(value, value) if len(known) < MAX_SHARED else known.get(value, value)
