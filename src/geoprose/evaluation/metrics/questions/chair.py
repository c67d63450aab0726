"""CHAIR: objects that a caption names and the picture does not show."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

from pydantic import Field

from geoprose.core.errors import PresetError
from geoprose.core.preset_folder import PresetFolder
from geoprose.core.spec import Spec
from geoprose.evaluation.metrics.base import Item, Judged, Judgement
from geoprose.evaluation.metrics.unavailable import no_score

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OBJECTS = PresetFolder("objects", "object list")
_IRREGULAR = {"person": "people", "bus": "buses"}


class ObjectList(Spec):
    """The objects that a caption may name, with the words for each."""

    name: str
    """Name that a variant's options give."""
    source: str
    """Where the names come from."""
    objects: dict[str, tuple[str, ...]] = Field(min_length=1)
    """Words for each object, in the singular; its own name always counts."""
    implies: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Objects that may be named when this one is there: a truck is a vehicle."""
    not_objects: tuple[str, ...] = ()
    """Phrases that hold an object's word and mean something else, such as "car park"."""

    def words(self) -> dict[str, str]:
        """Return the object of every word, singular and plural.

        Raises:
            PresetError: If a word stands for two objects.
        """
        found: dict[str, str] = {}
        for name, synonyms in self.objects.items():
            for word in (name, *synonyms):
                for form in (word.lower(), plural(word.lower())):
                    if found.get(form, name) != name:
                        raise PresetError(f"Object list {self.name}: {form!r} stands for {found[form]} and {name}.")
                    found[form] = name
        return found


def plural(word: str) -> str:
    """Return the English plural of a noun, of its last word for a compound."""
    head, _, last = word.rpartition(" ")
    if last in _IRREGULAR:
        last = _IRREGULAR[last]
    elif re.search(r"(?:s|x|z|ch|sh)$", last):
        last += "es"
    elif re.search(r"[^aeiou]y$", last):
        last = last[:-1] + "ies"
    elif last.endswith("man"):
        last = last[:-2] + "en"
    else:
        last += "s"
    return f"{head} {last}".strip()


@cache
def load_objects(name: str = "remote_sensing") -> ObjectList:
    """Load a built-in object list.

    Raises:
        PresetError: If there is none of that name, or a word stands for two objects.
        ConfigError: If its YAML is wrong.
    """
    loaded = OBJECTS.load(ObjectList, name)
    loaded.words()
    return loaded


class ObjectFinder:
    """Finds the objects that a text names, the longest phrase first.

    Args:
        objects: The list to look for.
    """

    def __init__(self, objects: ObjectList) -> None:
        self._words = objects.words()
        self._implies = objects.implies
        skipped = {form for phrase in objects.not_objects for form in (phrase.lower(), plural(phrase.lower()))}
        phrases = sorted({*self._words, *skipped}, key=len, reverse=True)
        body = "|".join(re.escape(phrase).replace(r"\ ", r"[\s-]+") for phrase in phrases)
        self._pattern = re.compile(rf"\b(?:{body})\b")

    def mentions(self, text: str) -> list[str]:
        """Return the object of every mention, in order, repeats included."""
        found = (re.sub(r"[\s-]+", " ", match[0]) for match in self._pattern.finditer(text.lower().replace("_", " ")))
        return [self._words[phrase] for phrase in found if phrase in self._words]

    def known(self, names: Sequence[str]) -> set[str]:
        """Return the objects that class names or captions stand for, and what those imply."""
        found = {mention for name in names for mention in self.mentions(name)}
        return found.union(*(self._implies.get(name, ()) for name in found))


class Chair:
    """Share of captions without a hallucinated object; CHAIR_s, CHAIR_i and the recall of objects beside it.

    The objects of a picture are those of ``meta["objects"]`` and, as in the paper, those that its reference captions
    name. ``chair_s`` is captions with a hallucinated object per caption, ``chair_i`` hallucinated mentions per mention,
    ``object_recall`` objects of the picture that were named per object. A system that names nothing has CHAIR 0 and
    recall 0, so the three belong together. A negated object ("no ships") is a mention like any other.

    Args:
        objects: Name of the object list.
        use_references: Whether objects named in reference captions count as being in the picture.

    Source:
        Rohrbach et al., Object Hallucination in Image Captioning, arXiv:1809.02156, section 3.
    """

    name = "captions without hallucination"
    is_accuracy = True
    is_itemwise = False

    def __init__(self, *, objects: str = "remote_sensing", use_references: bool = True) -> None:
        self._finder = ObjectFinder(load_objects(objects))
        self._use_references = use_references

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge each caption, then all mentions of the set."""
        if items and not any("objects" in item.meta for item in items):
            return no_score(items, "needs meta.objects: the names of the objects in each picture")
        rows = [self._judge(item) for item in items]
        invented: Counter[str] = Counter(name for _, names in rows for name in names)
        judgements = tuple(judgement for judgement, _ in rows)
        totals = {
            key: sum(j.extras[key] for j in judgements) for key in ("mentions", "hallucinated", "present", "named")
        }
        corpus = {
            "chair_s": sum(j.extras["hallucinated"] > 0 for j in judgements) / len(judgements) if judgements else 0.0,
            "chair_i": totals["hallucinated"] / totals["mentions"] if totals["mentions"] else 0.0,
            "object_recall": totals["named"] / totals["present"] if totals["present"] else 0.0,
            "num_captions_without_objects": float(sum(j.extras["mentions"] == 0 for j in judgements)),
        }
        return Judged(judgements, corpus, {"hallucinated_objects": dict(invented.most_common(50))})

    def _judge(self, item: Item) -> tuple[Judgement, list[str]]:
        listed = item.meta.get("objects")
        present = self._finder.known([str(name) for name in listed] if isinstance(listed, list) else [])
        if self._use_references:
            present |= self._finder.known(list(item.references))
        mentions = self._finder.mentions(item.prediction)
        invented = [name for name in mentions if name not in present]
        extras: Mapping[str, float] = {
            "mentions": float(len(mentions)),
            "hallucinated": float(len(invented)),
            "present": float(len(present)),
            "named": float(len(present & set(mentions))),
        }
        is_parsed = bool(item.prediction.strip())
        score = float(is_parsed and not invented)
        return Judgement(score, is_parsed, ", ".join(dict.fromkeys(mentions)), extras), invented
