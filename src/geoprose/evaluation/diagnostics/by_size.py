"""Hallucination by the size of the object: POPE and CHAIR, split where boxes say how large objects are."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from geoprose.core.errors import TaskError
from geoprose.data.readers.objects import area_of, size_group
from geoprose.evaluation.diagnostics.base import Diagnostic, Finding
from geoprose.evaluation.diagnostics.conditions import Bench
from geoprose.evaluation.diagnostics.resampling import Resamples, interval, mean_of
from geoprose.evaluation.diagnostics.stand_ins import intact_condition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from geoprose.core.types import JsonValue, Sample
    from geoprose.evaluation.diagnostics.base import Request

SIZES = ("small", "medium", "large")
UNKNOWN = "unknown size"
Event = tuple[str, str, float]
"""Size, picture, and 1 where it went wrong, else 0."""


class HallucinationBySize(Diagnostic):
    """What a system invents or misses, by object size."""

    title: ClassVar[str] = "Hallucination by object size"
    description: ClassVar[str] = (
        "Of objects that are there: the share that is denied (POPE) or left out (CHAIR), by the size of the largest "
        "one in the picture. Of objects that are not there: the share that is affirmed or named, by the size that the "
        "class usually has in this data set, since what is absent has no size. Sizes are those of COCO: small below "
        "32 x 32 pixels, large from 96 x 96. The headline is the share of absent objects that are affirmed or named."
    )

    objects: str = "remote_sensing"
    """List of the objects that captions may name."""

    def run(self, request: Request) -> Finding:
        """Ask the questions of a POPE or CHAIR task, then split what went wrong."""
        bench = Bench(request)
        kinds = {bench.task.question_type(sample.task).protocol for sample in bench.samples}
        if not kinds <= {"pope", "yes-no", "chair"}:
            raise TaskError(
                f"Task {bench.task.name} is scored by {', '.join(sorted(kinds))}; give one that is scored by pope or "
                "chair, such as dota-pope or dota-chair."
            )
        measured = bench.measure(intact_condition(bench))
        is_chair = kinds == {"chair"}
        split = self._captions if is_chair else _questions
        missed, invented = split(bench.samples, measured.answers)
        if not missed and not invented:
            raise TaskError(f"No sample of {bench.task.name} says which objects are in its picture.")
        tables: dict[str, JsonValue] = {"there": _rows(missed, self.seed), "absent": _rows(invented, self.seed)}
        unsized = sum(size == UNKNOWN for size, _, _ in missed)
        warnings = (f"{unsized} of {len(missed)} objects have no known size.",) if unsized else ()
        unavailable = {}
        if missed and unsized == len(missed):
            unavailable["sizes"] = "no sample has meta.boxes with meta.box_labels, or meta.size_group"
        errors = np.array([error for _, _, error in invented])
        draws = Resamples([picture for _, picture, _ in invented] or [""], self.seed)
        words = "named" if is_chair else "affirmed"
        return Finding(
            f"absent objects {words}",
            mean_of(errors) if len(errors) else None,
            len(errors),
            interval(draws.means(errors)[0]) if len(errors) else (),
            True,
            tables,
            unavailable if len(errors) else {**unavailable, "score": "nothing absent was asked about or named"},
            warnings,
            bench.system_facts(),
        )

    def _captions(self, samples: Sequence[Sample], answers: Mapping[str, str]) -> tuple[list[Event], list[Event]]:
        """Return objects that are there and whether each was left out; objects named and whether each is absent."""
        from geoprose.evaluation.metrics.questions.chair import ObjectFinder, load_objects
        from geoprose.evaluation.predictions import references_of

        finder = ObjectFinder(load_objects(self.objects))
        sizes = {
            sample.id: _known_sizes(sample, lambda label: next(iter(finder.known([label])), label))
            for sample in samples
        }
        usual = usual_sizes(sizes.values())
        missed: list[Event] = []
        invented: list[Event] = []
        for sample in samples:
            listed = sample.meta.get("objects")
            present = finder.known([str(name) for name in listed] if isinstance(listed, list) else [])
            accepted = present | finder.known(list(references_of(sample)))
            named = finder.mentions(answers[sample.id])
            picture = sample.images[0] if sample.images else sample.id
            own = sizes[sample.id]
            missed += [(own.get(name, UNKNOWN), picture, float(name not in named)) for name in sorted(present)]
            invented += [(usual.get(name, UNKNOWN), picture, float(name not in accepted)) for name in named]
        return missed, invented


def _questions(samples: Sequence[Sample], answers: Mapping[str, str]) -> tuple[list[Event], list[Event]]:
    """Return questions about objects that are there and whether each was denied; about absent ones, and affirmed."""
    from geoprose.evaluation.metrics.questions.yes_no import read_first_word
    from geoprose.evaluation.predictions import references_of

    sizes: dict[str, dict[str, str]] = {}
    for sample in samples:
        own = _known_sizes(sample, lambda label: label)
        phrase, group = str(sample.meta.get("phrase", "")), sample.meta.get("size_group")
        sizes[sample.id] = {**own, **({phrase: str(group)} if group else {})}
    usual = usual_sizes(
        own for sample, own in ((s, sizes[s.id]) for s in samples) if read_first_word(references_of(sample)[0]) == "yes"
    )
    missed: list[Event] = []
    invented: list[Event] = []
    for sample in samples:
        phrase = str(sample.meta.get("phrase", ""))
        picture = sample.images[0] if sample.images else sample.id
        said = read_first_word(answers[sample.id])
        if read_first_word(references_of(sample)[0]) == "yes":
            missed.append((sizes[sample.id].get(phrase, UNKNOWN), picture, float(said != "yes")))
        else:
            invented.append((usual.get(phrase, UNKNOWN), picture, float(said == "yes")))
    return missed, invented


def usual_sizes(known: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return the size that each class has most often; of equally frequent ones the smaller."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for sizes in known:
        for name, size in sizes.items():
            counts[name][size] += 1
    return {name: max(SIZES, key=lambda size: own[size]) for name, own in counts.items()}


def _known_sizes(sample: Sample, name_of: Callable[[str], str]) -> dict[str, str]:
    """Return the size of the largest object of each class, where boxes and their classes are there."""
    boxes, labels = sample.meta.get("boxes"), sample.meta.get("box_labels")
    if not isinstance(boxes, list) or not isinstance(labels, list):
        return {}
    largest: dict[str, tuple[float, ...]] = {}
    for box, label in zip(boxes, labels, strict=False):
        if not isinstance(box, list):
            continue
        corners, name = tuple(float(str(value)) for value in box), name_of(str(label))
        if name not in largest or area_of(corners) > area_of(largest[name]):
            largest[name] = corners
    return {name: size_group(corners) for name, corners in largest.items()}


def _rows(events: Sequence[Event], seed: int) -> dict[str, JsonValue]:
    """Return n, share that went wrong and its interval, per size."""
    rows: dict[str, JsonValue] = {}
    for size in (*SIZES, UNKNOWN):
        own = [(picture, error) for name, picture, error in events if name == size]
        if not own:
            continue
        errors = np.array([error for _, error in own])
        low, high = interval(Resamples([picture for picture, _ in own], seed).means(errors)[0])
        rows[size] = {"n": len(own), "share": float(errors.mean()), "low": low, "high": high}
    return rows
