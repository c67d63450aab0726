from __future__ import annotations

import random
from collections import Counter

from geoprose.data.readers.objects import ObjectPicture, Thing
from geoprose.data.readers.picture import Picture
from geoprose.data.readers.pope import Occurrence, article, false_premise, place_words, pope

# ship: 4 pictures, plane: 3, tank: 1, dam: 1; ships occur with tank, never with plane.
PICTURES = [["ship", "tank"], ["ship"], ["ship"], ["ship"], ["plane"], ["plane"], ["plane", "dam"]]
OCCURRENCE = Occurrence.count(PICTURES, extra=["zebra"])


def _picture(name: str = "p") -> Picture:
    return Picture(name, (f"{name}.png",), "test")


def test_counts_are_of_pictures() -> None:
    assert OCCURRENCE.objects == ("dam", "plane", "ship", "tank", "zebra")
    assert OCCURRENCE.counts == Counter(ship=4, plane=3, tank=1, dam=1)
    assert OCCURRENCE.together["ship", "tank"] == 1
    assert OCCURRENCE.together["ship", "plane"] == 0


def test_popular_and_adversarial_negatives_are_chosen_as_published() -> None:
    for seed in range(20):
        assert OCCURRENCE.absent(["ship"], "popular", random.Random(seed))[0] == "plane"
        assert OCCURRENCE.absent(["ship"], "adversarial", random.Random(seed))[0] == "tank"
        assert "ship" not in OCCURRENCE.absent(["ship"], "random", random.Random(seed))


def test_random_negatives_differ_between_pictures() -> None:
    asked = {str(sample.meta["phrase"]) for n in range(40) for sample in pope(_picture(f"p{n}"), ["ship"], OCCURRENCE)
             if sample.meta["negatives"] == "random" and sample.messages[-1].text == "no"}  # fmt: skip
    assert asked == {"dam", "plane", "tank", "zebra"}


def test_yes_and_no_are_balanced_in_every_round() -> None:
    samples = list(pope(_picture(), ["ship", "tank", "dam", "plane"], OCCURRENCE, per_picture=3))
    tally = Counter((sample.meta["negatives"], sample.messages[-1].text) for sample in samples)
    assert set(tally.values()) == {1}  # one object is absent, so one question of each kind
    assert set(tally) == {(kind, answer) for kind in ("random", "popular", "adversarial") for answer in ("yes", "no")}
    present = samples[0].meta["objects"]
    assert isinstance(present, list)
    for sample in samples:
        assert (sample.meta["phrase"] in present) == (sample.messages[-1].text == "yes")


def test_the_same_picture_gives_the_same_questions_whatever_else_is_asked() -> None:
    first = [sample.id for sample in pope(_picture(), ["ship"], OCCURRENCE)]
    list(pope(_picture("other"), ["plane"], OCCURRENCE))
    assert [sample.id for sample in pope(_picture(), ["ship"], OCCURRENCE)] == first


def test_false_premises_come_with_true_ones() -> None:
    entry = ObjectPicture(_picture(), (Thing((0, 0, 10, 10), "ship"), Thing((80, 80, 90, 90), "dam")), (100, 100))
    samples = list(false_premise(entry, OCCURRENCE))
    # dam comes first by name; what occurs together with ships and dams is asked for first.
    assert [sample.messages[-1].text for sample in samples[::2]] == ["bottom right", "top left"]
    assert all(sample.messages[-1].text.startswith("There is no ") for sample in samples[1::2])
    assert {sample.meta.get("negatives") for sample in samples[1::2]} == {"adversarial"}
    assert len({sample.id for sample in samples}) == len(samples) == 4


def test_places_and_articles() -> None:
    assert place_words((45, 45, 55, 55), (100, 100)) == "center"
    assert place_words((45, 0, 55, 5), (100, 100)) == "top"
    assert place_words((90, 45, 100, 45, 100, 55, 90, 55), (100, 100)) == "right"
    assert (article("airplane"), article("ship")) == ("an", "a")
