"""Yes/no: readings, POPE's figures, MME's pairs, and the faults of both scripts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoprose.core.errors import ConfigError
from geoprose.evaluation.metrics.questions.yes_no import RULES, find_rule
from geoprose.evaluation.metrics.questions.yes_no_figures import yes_no_figures
from tests.evaluation.metrics.items import item, judge, score


@pytest.mark.parametrize(
    ("text", "first_word", "equal", "mme", "pope", "vhm"),
    [
        ("Yes", "yes", "yes", "yes", "yes", "yes"),
        ("no", "no", "no", "no", "no", "no"),
        ("No", "no", "no", "no", "no", ""),
        ("No.", "no", "", "no", "no", ""),
        ("", "", "", "", "yes", ""),
        ("unknown", "", "", "", "yes", "no"),
        ("I cannot tell.", "", "", "", "yes", "no"),
        ("There is no ship.", "no", "", "", "no", "no"),
        ("n", "", "", "no", "yes", ""),
        ("Nothing", "", "", "no", "yes", ""),
        ("Yes, there are no doubts", "yes", "", "yes", "no", ""),
        ("yes or no", "yes", "", "yes", "no", ""),
        ("It is yes or no", "", "", "", "no", ""),
    ],
)
def test_readings(text: str, first_word: str, equal: str, mme: str, pope: str, vhm: str) -> None:
    read = {name: rule(text) for name, rule in RULES.items()}
    assert read == {"first_word": first_word, "equal": equal, "mme": mme, "pope": pope, "vhm": vhm}


def test_pope_by_hand() -> None:
    rows = [("yes", "yes"), ("no", "yes"), ("", "yes"), ("yes", "no"), ("no", "no"), ("no", "no")]
    judged = judge("pope", "first-word", *(item(answer, truth, negatives="random") for answer, truth in rows))
    assert sum(judgement.score for judgement in judged.judgements) == 3
    assert judged.corpus["precision"] == pytest.approx(1 / 2)
    assert judged.corpus["recall"] == pytest.approx(1 / 3)
    assert judged.corpus["f1"] == pytest.approx(2 / 5)
    assert judged.corpus["yes_ratio"] == pytest.approx(2 / 6)  # of the answers, not of the questions
    assert judged.corpus["yes_ratio_of_references"] == pytest.approx(3 / 6)
    assert not {"n", "accuracy", "score", "ci95"} & set(judged.corpus)


def test_pope_by_kind_of_negative() -> None:
    rows = [item("yes", "yes", negatives="random"), item("yes", "no", negatives="adversarial")]
    table = judge("pope", "first-word", *rows).tables["by_negatives"]
    assert table["random"]["accuracy"] == 1.0
    assert table["adversarial"]["accuracy"] == 0.0
    sizes = [item("yes", "no", size_group="small"), item("no", "no", size_group="large")]
    assert judge("pope", "first-word", *sizes).tables["by_size_group"]["small"]["accuracy"] == 0.0


def test_lmms_eval_reports_the_yes_of_the_questions() -> None:
    always_yes = [item("yes", "yes"), item("yes", "no"), item("yes", "no"), item("yes", "no")]
    always_no = [item("no", "yes"), item("no", "no"), item("no", "no"), item("no", "no")]
    for rows, ratio in ((always_yes, 1.0), (always_no, 0.0)):
        assert judge("pope", "lmms-eval", *rows).corpus["yes_ratio"] == 0.25  # the same for every system
        assert judge("pope", "first-word", *rows).corpus["yes_ratio"] == ratio


def test_official_pope_counts_silence_as_yes() -> None:
    silent = [item("", "yes"), item("I cannot tell.", "yes")]
    assert score("pope", "pope-official", *silent) == 1.0
    assert score("pope", "first-word", *silent) == 0.0
    assert not any(judgement.is_parsed for judgement in judge("pope", "first-word", *silent).judgements)


def test_vhm_finds_no_in_unknown_and_not_in_a_capital_no() -> None:
    assert score("pope", "vhm-presence", item("unknown", "no")) == 1.0
    assert score("pope", "first-word", item("unknown", "no")) == 0.0
    assert score("pope", "vhm-presence", item("No", "no")) == 0.0
    assert score("pope", "first-word", item("No", "no")) == 1.0


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["yes", "no"]), st.sampled_from(["yes", "no", ""])), min_size=1, max_size=30))
def test_figures_equal_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    truths, answers = [truth for truth, _ in pairs], [answer for _, answer in pairs]
    precision, recall, f1, _ = sklearn.precision_recall_fscore_support(
        truths, answers, labels=["yes"], average="micro", zero_division=0
    )
    figures = yes_no_figures(pairs)
    assert (figures["precision"], figures["recall"], figures["f1"]) == pytest.approx((precision, recall, f1))
    assert figures["accuracy"] == pytest.approx(sklearn.accuracy_score(truths, answers))


def test_mme_by_hand() -> None:
    rows = [
        item("Yes", "yes", group="a", category="count"),
        item("No", "no", group="a", category="count"),
        item("Yes", "yes", group="b", category="count"),
        item("Yes", "no", group="b", category="count"),
        item("Yes", "yes", group="c", category="color"),
        item("", "no", group="c", category="color"),
    ]
    judged = judge("yes-no", "mme", *rows)
    assert sum(judgement.score for judgement in judged.judgements) == 4
    assert judged.corpus["accuracy_plus"] == pytest.approx(1 / 3)
    assert judged.corpus["accuracy_plus_macro"] == pytest.approx((1 / 2 + 0) / 2)
    assert judged.corpus["mme_score"] == pytest.approx((75 + 50) + (50 + 0))
    assert judged.corpus["num_groups_not_of_two"] == 0


def test_mme_reads_no_in_nothing() -> None:
    assert score("yes-no", "mme", item("Nothing", "no", group="a")) == 1.0
    assert score("yes-no", "mme-first-word", item("Nothing", "no", group="a")) == 0.0
    assert "accuracy_plus" in judge("yes-no", "mme", item("yes", "yes")).unavailable
    assert judge("yes-no", "mme", item("yes", "yes", group="a"), item("no", "no")).corpus["num_groups_not_of_two"] == 2


def test_unknown_rules_are_named() -> None:
    with pytest.raises(ConfigError, match="rule for yes/no"):
        find_rule("popo")
