"""Every faulty definition of an answer's score exists only as a named, flagged variant beside a sound default."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from geoprose.evaluation.protocols import load_protocol
from tests.evaluation.metrics.items import item, score

if TYPE_CHECKING:
    from geoprose.evaluation.metrics.base import Item

FAULTY = {
    "scene": {"lhrs-nearest-class", "earthdial-token-recall", "vhm-substring"},
    "vqa": {
        "substring-reference-in-prediction",
        "substring-prediction-in-reference",
        "lhrs-substring",
        "earthdial-token-recall",
    },
    "rsvqa": {"lhrs-substring", "vhm-substring", "earthdial-token-recall"},
    "vrsbench-vqa": {"vrsbench-notebook", "substr-gt-in-pred"},
    "lrs-vqa": set(),
    "yes-no": {"vhm-presence"},
    "pope": {"pope-official", "lmms-eval", "vhm-presence"},
    "chair": set(),
    "false-premise": set(),
    "choice": {
        "mmbench",
        "mmmu",
        "mmmu-unparsable-wrong",
        "seed-first-character",
        "vhm-first-capital",
        "xlrs-any-letter",
    },
    "video-choice": {"video-mme"},
    "numeric": set(),
    "ocr": {"ocrbench"},
    "retrieval": {"own-best"},
    "multi-label": {"vhm-substring"},
}
"""Protocols of this kind and their variants whose numbers must not be trusted."""

INFLATED = [
    ("scene", "lhrs-nearest-class", item("", "beach", options=["airport", "beach"])),
    ("scene", "earthdial-token-recall", item("airport, beach", "beach")),
    ("scene", "vhm-substring", item("", "beach")),
    ("vqa", "substring-reference-in-prediction", item("unknown", "no")),
    ("vqa", "substring-prediction-in-reference", item("", "no")),
    ("vqa", "lhrs-substring", item("n", "no")),
    ("vqa", "earthdial-token-recall", item("yes, no", "no")),
    ("rsvqa", "lhrs-substring", item("", "rural")),
    ("rsvqa", "vhm-substring", item("u", "rural")),
    ("rsvqa", "earthdial-token-recall", item("rural, urban", "rural")),
    ("vrsbench-vqa", "vrsbench-notebook", item("unknown", "no")),
    ("vrsbench-vqa", "substr-gt-in-pred", item("10", "1")),
    ("yes-no", "vhm-presence", item("I cannot tell", "no")),
    ("pope", "pope-official", item("", "yes")),
    ("pope", "vhm-presence", item("unknown", "no")),
    ("choice", "mmbench", item("A field", "A", options=["sea", "road"])),
    ("choice", "mmmu", item("CAPITAL A road", "A", options=["sea", "road"])),
    ("choice", "mmmu-unparsable-wrong", item("CAPITAL A road", "A", options=["sea", "road"])),
    ("choice", "seed-first-character", item("Airport", "A", options=["sea", "road"])),
    ("choice", "vhm-first-capital", item("Cannot tell", "C", options=["sea", "road", "dam"])),
    ("choice", "xlrs-any-letter", item("A bed", "ABDE", options=["v", "w", "x", "y", "z"])),
    ("video-choice", "video-mme", item("Answer: B", "A", options=["sea", "road"])),
    ("ocr", "ocrbench", item("2012", "12")),
    ("retrieval", "own-best", item("[]", "a", id="a#0", scores=dict.fromkeys("abcdefghijklmno", 1.0), captions_of="a")),
    ("multi-label", "vhm-substring", item("no water", "water")),
]


@pytest.mark.parametrize("name", FAULTY)
def test_faults_are_flagged_and_never_the_default(name: str) -> None:
    protocol = load_protocol(name)
    assert {variant for variant, spec in protocol.variants.items() if spec.fault} == FAULTY[name]
    assert protocol.default not in FAULTY[name]
    for variant, spec in protocol.variants.items():
        metric = protocol.metric(variant)
        assert metric.judge([]).judgements == ()
        assert spec.source
        assert spec.differs.endswith((".", '"'))


@pytest.mark.parametrize(
    ("protocol", "variant", "row"), INFLATED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_fault_scores_what_the_default_does_not(protocol: str, variant: str, row: Item) -> None:
    assert score(protocol, variant, row) > score(protocol, "", row)


def test_every_fault_has_its_demonstration() -> None:
    shown = {(protocol, variant) for protocol, variant, _ in INFLATED}
    listed = {(protocol, variant) for protocol, variants in FAULTY.items() for variant in variants}
    assert listed - shown == {("pope", "lmms-eval")}  # a ratio and not a score: test_yes_no.py
