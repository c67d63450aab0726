"""Known faults of boxes in answers, counted while items pass: off their scale, reversed, outside, on 0 to 1."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from geoprose.answers.codecs import get_codec, read_boxes
from geoprose.evaluation.score.faults import SHOWN, ScoreWarning

if TYPE_CHECKING:
    from geoprose.evaluation.metrics.base import Item


@dataclass
class BoxWatch:
    """Boxes over their scale, reversed, outside, or on 0..1 where adding one to a side is wrong."""

    _n: int = 0
    _with_boxes: int = 0
    _unit: int = 0
    _counts: Counter[str] = field(default_factory=Counter)
    _examples: dict[str, list[str]] = field(default_factory=dict)

    def see(self, item: Item) -> None:
        """Read the boxes of the answer again and note what was odd about them."""
        if "boxes" not in item.meta and not _reads_boxes(item):
            return
        self._n += 1
        boxes, problems = read_boxes(item.prediction, item.codec, item.geometry or item.size_px or (1000, 1000))
        kinds = {_kind(problem.kind, problem.message) for problem in problems} & _BOX_MESSAGES.keys()
        self._counts.update(kinds)
        for kind in kinds:
            self._examples.setdefault(kind, []).append(item.prediction[:80])
            del self._examples[kind][SHOWN:]
        self._with_boxes += bool(boxes)
        self._unit += bool(boxes) and get_codec(item.codec).scale == 1.0

    def found(self) -> list[ScoreWarning]:
        """Return a warning for each kind of fault."""
        warnings = [
            ScoreWarning(f"boxes-{kind}", text.format(n=self._counts[kind]), self._counts[kind], self._n, tuple(shown))
            for kind, text in _BOX_MESSAGES.items()
            if (shown := self._examples.get(kind))
        ]
        if self._unit:
            text = (
                f"{self._unit} answers have boxes on a scale of 0 to 1. A script that adds 1 to the sides of boxes "
                "(LHRS-Bot main_vg.py) matches random boxes on that scale in about 30 % of cases; its figures do not "
                "compare with these."
            )
            warnings.append(ScoreWarning("boxes-unit-scale", text, self._unit, self._n))
        return warnings


_BOX_MESSAGES = {
    "over-scale": "{n} answers have boxes over the scale of their format; those boxes are not read. Is --codec right?",
    "outside": "{n} answers have boxes that pass the edge of the picture.",
    "reversed": "{n} answers have boxes with reversed corners; they were put in order.",
    "empty": "{n} answers have boxes without area.",
    "broken": "{n} answers have something like a box that could not be read.",
}


def _kind(kind: str, message: str) -> str:
    if kind == "range":
        return "outside" if "passes the edge" in message else "over-scale"
    return {"order": "reversed", "empty": "empty"}.get(kind, "broken")


def _reads_boxes(item: Item) -> bool:
    reference = item.references[0] if item.references else ""
    if not any(character in reference for character in "[{<("):
        return False
    return bool(read_boxes(reference, item.reference_codec, item.size_px or (1000, 1000))[0])
