"""Answers to questions: equality, votes, synonyms, verdicts, and the substring matches of the field."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoprose.core.errors import TaskError
from geoprose.evaluation.metrics.questions.vqa import soft_accuracy
from geoprose.evaluation.metrics.questions.vqa_judge import JudgeVerdicts, parse_verdict, read_verdicts
from geoprose.evaluation.metrics.questions.vqa_synonyms import SynonymMatch
from tests.evaluation.metrics.items import item, judge, score

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("variant", ["substring-prediction-in-reference", "lhrs-substring"])
@pytest.mark.parametrize("answer", ["", "n"])
def test_vhm_and_lhrs_count_nothing_as_correct(variant: str, answer: str) -> None:
    assert score("vqa", variant, item(answer, "no")) == 1.0
    assert score("vqa", "exact", item(answer, "no")) == 0.0
    assert (
        score("rsvqa", variant.replace("substring-prediction-in-reference", "vhm-substring"), item("", "rural")) == 1.0
    )


@pytest.mark.parametrize(("answer", "truth"), [("unknown", "no"), ("10", "1"), ("yes and no", "no")])
@pytest.mark.parametrize("variant", ["substr-gt-in-pred", "vrsbench-notebook"])
def test_vrsbench_finds_no_in_unknown(variant: str, answer: str, truth: str) -> None:
    assert score("vrsbench-vqa", variant, item(answer, truth)) == 1.0
    assert score("vrsbench-vqa", "exact", item(answer, truth)) == 0.0


def test_vrsbench_notebook_asks_a_judge_for_the_rest() -> None:
    rows = [
        item("Yes", "no", id="a", verdict=1),  # decided by rule: the verdict is not looked at
        item("pond", "swimming pool", id="b", verdict="1"),
        item("car", "swimming pool", id="c", verdict="0"),
        item("boat", "swimming pool", id="d"),
    ]
    judged = judge("vrsbench-vqa", "vrsbench-notebook", *rows)
    assert [judgement.score for judgement in judged.judgements] == [0.0, 1.0, 0.0, 0.0]
    assert [judgement.is_parsed for judgement in judged.judgements] == [True, True, True, False]
    assert judged.corpus["num_missing_verdicts"] == 1.0


def test_no_verdicts_is_no_score() -> None:
    assert "score" in judge("vqa", "judge", item("pond", "pool")).unavailable
    assert judge("vqa", "judge").unavailable == {}


def test_earthdial_recalls_both_answers() -> None:
    both = [item("yes, no", "yes"), item("yes, no", "no")]
    assert score("vqa", "earthdial-token-recall", *both) == 1.0
    assert score("vqa", "exact", *both) == 0.0


@pytest.mark.parametrize(("count", "official"), [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)])
def test_soft_accuracy_by_hand(count: int, official: float) -> None:
    votes = ["red"] * count + ["blue"] * (10 - count)
    assert soft_accuracy("red", votes) == pytest.approx(official)
    assert soft_accuracy("red", votes, leave_one_out=False) == pytest.approx(min(count / 3, 1))


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=10), st.sampled_from("abcd"))
def test_soft_accuracy_is_the_mean_over_leaving_one_out(votes: list[str], answer: str) -> None:
    parts = [min((votes[:i] + votes[i + 1 :]).count(answer) / 3, 1) for i in range(len(votes))]
    assert soft_accuracy(answer, votes) == pytest.approx(sum(parts) / len(parts))


def test_votes_keep_their_repeats_and_one_vote_is_equality() -> None:
    votes = ["two", "2", "2", "3"] + ["many"] * 6
    assert score("vqa", "vqa-soft", item("2", "two", "2", answers=votes)) == pytest.approx(0.3 * 2 / 3 + 0.7)
    assert score("vqa", "vqa-soft", item("Yes.", "yes", answers=["yes"])) == 1.0
    assert score("vqa", "vqa-soft", item("", "yes", answers=["yes"])) == 0.0
    spellings = item("2", "two", "2", answers=["two", "2"])  # not two people
    assert score("vqa", "vqa-soft", spellings) == score("vqa", "vqa-soft-simple", spellings) == 1.0
    assert judge("vqa", "vqa-soft", spellings).judgements[0].extras == {"voted": 0.0}


def test_synonyms_share_a_sense() -> None:
    senses = {"pool": {("noun", 1), ("noun", 2)}, "pond": {("noun", 2)}, "car": {("noun", 3)}}
    metric = SynonymMatch(senses=lambda word: frozenset(senses.get(word, ())))
    rows = [item("Pond", "pool"), item("car", "pool"), item("", "pool"), item("unheard", "unheard of")]
    assert [judgement.score for judgement in metric.judge(rows).judgements] == [1.0, 0.0, 0.0, 0.0]
    assert metric.judge(rows).judgements[0].extras["by_synonym"] == 1.0


def test_without_wordnet_there_is_no_synonym_score(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GEOPROSE_ASSET_WORDNET", raising=False)
    monkeypatch.setenv("GEOPROSE_CACHE", str(tmp_path))
    judged = judge("lrs-vqa", "synonym-wordnet", item("pond", "pool"))
    assert "WordNet" in judged.unavailable["score"]


def test_verdict_files(tmp_path: Path) -> None:
    table = tmp_path / "verdicts.csv"
    table.write_text("\ufeffquestion_id,correct\r\na,1\r\nb,0\r\nc,maybe\r\n", encoding="utf-8")
    assert read_verdicts(table) == {"a": 1.0, "b": 0.0, "c": None}
    rows = tmp_path / "verdicts.jsonl"
    rows.write_text("\n".join(json.dumps({"id": key, "verdict": value}) for key, value in (("a", True), ("b", 0.5))))
    metric = JudgeVerdicts(path=rows)
    judged = metric.judge([item("x", "y", id="a"), item("x", "y", id="b"), item("x", "y", id="z")])
    assert [judgement.score for judgement in judged.judgements] == [1.0, 0.5, 0.0]
    assert judged.corpus == {"num_missing_verdicts": 1.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": "a"}\n', "no id or no verdict"),
        ('{"id": "a", "verdict": 1}\n{"id": "a", "verdict": 0}\n', "second, different verdict"),
        ('{"id": "a", "verd', "not JSON"),
        ("[1]\n", "not an object"),
    ],
)
def test_bad_verdict_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "verdicts.jsonl"
    path.write_text(text)
    with pytest.raises(TaskError, match=message):
        read_verdicts(path)
    with pytest.raises(TaskError, match="does not exist"):
        read_verdicts(tmp_path / "absent.jsonl")


@pytest.mark.parametrize(("value", "verdict"), [(True, 1.0), ("match", 1.0), ("nan", None), ("2", None), (None, None)])
def test_a_verdict_is_between_0_and_1(value: object, verdict: float | None) -> None:
    assert parse_verdict(value) == verdict
