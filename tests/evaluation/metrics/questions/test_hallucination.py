"""False premises and invented objects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoprose.core.errors import PresetError
from geoprose.evaluation.metrics.questions.chair import ObjectFinder, ObjectList, load_objects, plural
from geoprose.evaluation.metrics.questions.hallucination import is_refusal
from tests.evaluation.metrics.items import item, judge, score


@pytest.mark.parametrize(
    "text",
    [
        "There is no ship in the image.",
        "There are no planes here",
        "there isn't a ship",
        "The ship is not visible.",
        "I cannot see a ship",
        "It cannot be determined from a panchromatic image",
        "It is impossible to tell the color",
        "The image does not contain any ship",
        "No such object",
        "None",
        "unanswerable",
        "I don't know",
    ],
)
def test_refusals(text: str) -> None:
    assert is_refusal(text)


@pytest.mark.parametrize(
    "text",
    ["top left", "red", "no", "The ship is white.", "It is not red but white", "in the northern part", "", "yes"],
)
def test_answers_that_accept_the_premise(text: str) -> None:
    assert not is_refusal(text)


def test_false_premise_by_hand() -> None:
    absent, present = "there is no ship in the image", "top left"
    rows = [
        item("There is no ship.", absent, negatives="random"),
        item("white", absent, negatives="adversarial"),
        item("", absent, negatives="adversarial"),
        item("Top left.", present),
        item("bottom", present),
        item("I cannot see a ship", present),
    ]
    judged = judge("false-premise", "phrases", *rows)
    assert [judgement.score for judgement in judged.judgements] == [1, 0, 0, 1, 1, 0]
    assert judged.corpus["refusal_recall"] == pytest.approx(1 / 3)
    assert judged.corpus["false_refusals"] == pytest.approx(1 / 3)
    assert judged.corpus["exact"] == pytest.approx(1 / 3)
    assert judged.tables["by_negatives"]["random"] == {"n": 1, "score": 1.0}
    assert not judged.judgements[2].is_parsed


def test_refusing_everything_is_not_honesty() -> None:
    rows = [item("none", "there is no ship"), item("none", "top left"), item("none", "red")]
    judged = judge("false-premise", "phrases", *rows)
    assert judged.corpus["refusal_recall"] == judged.corpus["false_refusals"] == 1.0
    assert score("false-premise", "phrases", *rows) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("text", "objects"),
    [
        ("Two planes and an airplane near the runway", ["plane", "plane", "runway"]),
        ("many Storage-Tanks", ["storage tank"]),
        ("a basketball court", ["basketball court"]),
        ("ferries at the harbour", ["ship", "harbor"]),
        ("a car park with buses", ["large vehicle"]),
        ("a seaport village", []),
        ("small-vehicle", ["vehicle"]),
        ("Expressway-toll-station", ["expressway toll station"]),
        ("groundtrackfield", ["ground track field"]),
        ("a train station", ["train station"]),
    ],
)
def test_objects_of_a_caption(text: str, objects: list[str]) -> None:
    assert ObjectFinder(load_objects()).mentions(text) == objects


DOTA = (
    "plane ship storage-tank baseball-diamond tennis-court basketball-court ground-track-field harbor bridge "
    "large-vehicle small-vehicle helicopter roundabout soccer-ball-field swimming-pool container-crane airport helipad"
)
DIOR = (
    "airplane airport baseballfield basketballcourt bridge chimney dam Expressway-Service-area Expressway-toll-station "
    "golffield groundtrackfield harbor overpass ship stadium storagetank tenniscourt trainstation vehicle windmill"
)


@pytest.mark.parametrize("name", [*DOTA.split(), *DIOR.split()])
def test_every_class_of_dota_and_dior_is_in_the_list(name: str) -> None:
    assert len(ObjectFinder(load_objects()).known([name])) >= 1


@pytest.mark.parametrize(
    ("word", "many"),
    [
        ("ship", "ships"),
        ("bus", "buses"),
        ("ferry", "ferries"),
        ("storage tank", "storage tanks"),
        ("branch", "branches"),
    ],
)
def test_plurals(word: str, many: str) -> None:
    assert plural(word) == many


def test_chair_by_hand() -> None:
    rows = [
        item("planes and ships at the airport", "a plane", objects=["plane", "airport"]),  # ships are invented
        item("two planes", "planes", objects=["plane", "airport"]),
        item("a green field", "a field", objects=["ship"]),
        item("", "a ship", objects=["ship"]),
    ]
    judged = judge("chair", "remote-sensing", *rows)
    assert judged.corpus["chair_s"] == pytest.approx(1 / 4)
    assert judged.corpus["chair_i"] == pytest.approx(1 / 4)  # of 4 mentions
    assert judged.corpus["object_recall"] == pytest.approx(3 / 8)  # an airport implies its runway
    assert judged.corpus["num_captions_without_objects"] == 2
    assert [judgement.score for judgement in judged.judgements] == [0, 1, 1, 0]
    assert judged.tables["hallucinated_objects"] == {"ship": 1}


def test_reference_captions_add_objects() -> None:
    row = item("a bridge over a dam", "there is a bridge", objects=["dam"])
    assert score("chair", "remote-sensing", row) == 1.0
    assert score("chair", "annotated-only", row) == 0.0
    assert "score" in judge("chair", "remote-sensing", item("a ship", "a ship")).unavailable


def test_a_truck_is_a_vehicle_and_a_car_is_no_truck() -> None:
    assert score("chair", "annotated-only", item("vehicles on a road", objects=["large-vehicle"])) == 1.0
    assert score("chair", "annotated-only", item("a truck", objects=["small-vehicle"])) == 0.0


@given(st.sets(st.sampled_from(["ship", "plane", "dam", "bridge"])), st.sets(st.sampled_from(["ship", "plane", "dam"])))
def test_chair_is_0_when_only_present_objects_are_named(present: set[str], named: set[str]) -> None:
    judged = judge("chair", "annotated-only", item("with " + " ".join(sorted(named)), objects=sorted(present)))
    assert (judged.corpus["chair_s"] == 0) == (named <= present)
    assert judged.corpus["object_recall"] == pytest.approx(len(named & present) / len(present) if present else 0)


def test_bad_object_lists_are_named() -> None:
    with pytest.raises(PresetError, match="Known: remote_sensing"):
        load_objects("coco")
    twice = ObjectList(name="x", source="x", objects={"ship": ("boat",), "canoe": ("boat",)})
    with pytest.raises(PresetError, match="'boat' stands for ship and canoe"):
        twice.words()
