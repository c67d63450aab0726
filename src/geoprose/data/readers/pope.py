"""Yes/no questions about objects that are in a picture and objects that are not: POPE, and false premises.

Source: Li et al., "Evaluating Object Hallucination in Large Vision-Language Models", EMNLP 2023, section 4: as many
questions about absent objects as about present ones; the absent ones are chosen at random, by how often they occur in
the data set (popular), or by how often they occur together with the objects of the picture (adversarial).
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from geoprose.data.readers.objects import area_of, named_things, object_words, size_group
from geoprose.data.readers.picture import json_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from geoprose.core.types import Sample
    from geoprose.data.readers.objects import ObjectPicture
    from geoprose.data.readers.picture import Picture

Negatives = Literal["random", "popular", "adversarial"]
KINDS: tuple[Negatives, ...] = ("random", "popular", "adversarial")
SEED = 0


@dataclass(frozen=True)
class Occurrence:
    """How often objects occur, alone and together, over the pictures of a split.

    Attributes:
        objects: Every object that can be asked about, sorted.
        counts: Pictures that hold each object.
        together: Pictures that hold both objects of a pair.
    """

    objects: tuple[str, ...]
    counts: Counter[str] = field(default_factory=Counter)
    together: Counter[tuple[str, str]] = field(default_factory=Counter)

    @classmethod
    def count(cls, pictures: Iterable[Sequence[str]], extra: Sequence[str] = ()) -> Occurrence:
        """Count the objects of every picture; ``extra`` are objects that may be asked about though none shows them."""
        counts: Counter[str] = Counter()
        together: Counter[tuple[str, str]] = Counter()
        for names in pictures:
            present = set(names)
            counts.update(present)
            together.update((one, other) for one in present for other in present if one != other)
        return cls(tuple(sorted({*counts, *extra})), counts, together)

    def absent(self, present: Sequence[str], kind: Negatives, rng: random.Random) -> list[str]:
        """Return the objects that are not in a picture, the first to be asked about first."""
        candidates = [name for name in self.objects if name not in present]
        rng.shuffle(candidates)  # also breaks the ties of the two sorts below, which are stable
        if kind == "popular":
            candidates.sort(key=lambda name: -self.counts[name])
        elif kind == "adversarial":
            candidates.sort(key=lambda name: -sum(self.together[name, other] for other in present))
        return candidates


def pope(
    picture: Picture,
    present: Sequence[str],
    occurrence: Occurrence,
    per_picture: int = 3,
    sizes: Mapping[str, str] | None = None,
) -> Iterator[Sample]:
    """Ask about present and absent objects of a picture, as often about one as about the other, in each of three ways.

    Args:
        picture: The picture.
        present: Names of the objects in it.
        occurrence: How often objects occur in the split.
        per_picture: Questions about present objects, at most; as many about absent ones.
        sizes: Size class of the largest object of a name, where boxes say it.
    """
    for kind in KINDS:
        rng = random.Random(f"{SEED}/{kind}/{picture.id}")  # noqa: S311 - chosen so that anybody gets the same questions
        shown = sorted(set(present))
        rng.shuffle(shown)
        absent = occurrence.absent(present, kind, rng)
        number = min(per_picture, len(shown), len(absent))
        asked = [(name, "yes") for name in shown[:number]] + [(name, "no") for name in absent[:number]]
        for name, answer in asked:
            words = object_words(name)
            yield picture.ask(
                "pope",
                f"Is there {article(words)} {words} in the image?",
                [answer],
                f"pope-{kind}-{name}",
                negatives=kind,
                phrase=words,
                objects=json_list([object_words(other) for other in sorted(set(present))]),
                size_group=(sizes or {}).get(name),
            )


def false_premise(entry: ObjectPicture, occurrence: Occurrence) -> Iterator[Sample]:
    """Ask where an object is that the picture holds, and in the same words where one is that it does not hold.

    Source: Pang et al., "VHM: Versatile and Honest Vision Language Model for Remote Sensing Image Analysis", AAAI 2025:
    questions about what is not there, where the honest answer says so.
    """
    rng = random.Random(f"{SEED}/premise/{entry.picture.id}")  # noqa: S311 - as above
    absent = occurrence.absent(entry.classes(), "adversarial", rng)
    objects = json_list([object_words(name) for name in entry.classes()])
    for number, (side, thing) in enumerate(named_things(entry)):
        if number >= len(absent):
            return
        for name in (thing.label, absent[number]):
            words = f"{side} {object_words(name)}".strip()
            is_there = name == thing.label
            answer = place_words(thing.corners, entry.size_px) if is_there else f"There is no {words} in the image."
            yield entry.picture.ask(
                "false_premise",
                f"Where in the image is the {words}?",
                [answer],
                f"premise-{side}-{name}" if side else f"premise-{name}",
                phrase=words,
                objects=objects,
                negatives=None if is_there else "adversarial",
            )


def largest_sizes(entry: ObjectPicture) -> dict[str, str]:
    """Return the size class of the largest object of each class."""
    ordered = sorted(entry.things, key=lambda thing: area_of(thing.corners))
    return {thing.label: size_group(thing.corners) for thing in ordered}


def place_words(corners: Sequence[float], size_px: tuple[int, int]) -> str:
    """Return where a box lies in a grid of three by three: ``"top left"``, ``"center"``, ``"right"``."""
    centre_x = (min(corners[0::2]) + max(corners[0::2])) / 2 / size_px[0]
    centre_y = (min(corners[1::2]) + max(corners[1::2])) / 2 / size_px[1]
    words = [
        "top" if centre_y < 1 / 3 else "bottom" if centre_y > 2 / 3 else "",
        "left" if centre_x < 1 / 3 else "right" if centre_x > 2 / 3 else "",
    ]
    return " ".join(word for word in words if word) or "center"


def article(words: str) -> str:
    """Return ``"an"`` before a vowel, else ``"a"``."""
    return "an" if words[:1].lower() in "aeiou" else "a"
