"""Judging a stream: pieces, whole-set metrics, variants without what they need, columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from geoprose.core.errors import ResourceError, TaskError
from geoprose.evaluation.aggregate import ClusteredBootstrap
from geoprose.evaluation.metrics.base import Item, Judged, Judgement
from geoprose.evaluation.metrics.unavailable import no_score
from geoprose.evaluation.score import judge as judge_module
from geoprose.evaluation.score.judge import Judge
from geoprose.evaluation.score.ledger import Ledger
from geoprose.evaluation.score.sheet import JudgedType, ScoreSheet
from geoprose.evaluation.score.variants import Variant
from geoprose.evaluation.tasks import TaskSpec

if TYPE_CHECKING:
    from collections.abc import Sequence


class Length:
    """Scores the length of the answer; remembers how many items it was given at once."""

    name = "length"
    is_accuracy = False

    def __init__(self, is_itemwise: bool = True) -> None:
        self.is_itemwise = is_itemwise
        self.given: list[int] = []

    def judge(self, items: Sequence[Item]) -> Judged:
        self.given.append(len(items))
        return Judged(
            tuple(Judgement(float(len(item.prediction)), True, item.prediction, truth="aa") for item in items),
            {"total": float(sum(len(item.prediction) for item in items))},
        )


class NoNumber(Length):
    """Cannot score at all."""

    def judge(self, items: Sequence[Item]) -> Judged:
        return no_score(items, "needs a moon")


class NoPackage(Length):
    """Lacks a package."""

    def judge(self, items: Sequence[Item]) -> Judged:
        raise ResourceError("pip install moon")


def items(count: int) -> list[Item]:
    return [Item(str(number), "a" * (number % 3), ("aa",)) for number in range(count)]


def judged(*variants: Variant, count: int = 7) -> Judge:
    judge = Judge(variants, keeps_judgements=True)
    for item in items(count):
        judge.add(item)
    judge.close()
    return judge


def test_itemwise_metrics_get_pieces_and_others_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge_module, "PIECE", 3)
    pieces, whole = Length(), Length(is_itemwise=False)
    judge = judged(Variant("pieces", pieces), Variant("whole", whole))
    assert pieces.given == [3, 3, 1]
    assert whole.given == [7]
    expected = [0.0, 1.0, 2.0, 0.0, 1.0, 2.0, 0.0]
    for ledger in judge.ledgers.values():
        assert ledger.scores.tolist() == expected
    assert [judgement.score for judgement in judge.judgements] == expected


def test_a_figure_of_a_piece_is_never_passed_for_one_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge_module, "PIECE", 3)
    judge = judged(Variant("pieces", Length()), Variant("whole", Length(is_itemwise=False)))
    assert judge.ledgers["pieces"].corpus == {}
    assert "pieces of a long list" in judge.ledgers["pieces"].unavailable["total"]
    assert judge.ledgers["whole"].corpus == {"total": 6.0}


def test_what_a_variant_lacks_is_said_and_no_number_is_shown() -> None:
    judge = judged(
        Variant("default", Length()),
        Variant("needy", Length(), needs=("boxes",)),
        Variant("ranked", Length(), needs=("scores",)),
        Variant("moon", NoNumber()),
        Variant("package", NoPackage()),
    )
    assert list(judge.ledgers) == ["default"]
    assert judge.unavailable == {
        "needy": "7 of 7 samples lack boxes",
        "ranked": "7 of 7 samples lack scores",
        "moon": "needs a moon",
        "package": "pip install moon",
    }


@pytest.mark.parametrize(
    ("variant", "error", "message"),
    [
        (Variant("d", Length(), needs=("boxes",)), TaskError, "lack boxes"),
        (Variant("d", NoNumber()), TaskError, "needs a moon"),
        (Variant("d", NoPackage()), ResourceError, "pip install moon"),
    ],
)
def test_a_default_that_cannot_be_computed_is_an_error(variant: Variant, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        judged(variant)


def test_extras_that_come_late_count_as_zero_before() -> None:
    ledger = Ledger()
    ledger.add(Judged((Judgement(1.0, True, "x"), Judgement(0.0, False, ""))))
    ledger.add(Judged((Judgement(1.0, True, "x", {"late": 1.0}), Judgement(1.0, True, "x"))))
    assert ledger.extras() == {"late": 0.25}
    assert (len(ledger), ledger.unparsed) == (4, 1)
    assert Ledger().extras() == {}


def test_the_sheet_joins_types_in_the_order_of_their_places() -> None:
    task = TaskSpec(
        name="t", title="t", description="d", source="s", types={"a": {"metric": "exact"}, "b": {"metric": "exact"}}
    )
    first, second = judged(Variant("length", Length()), count=4), judged(Variant("length", Length()), count=2)
    types = [
        JudgedType("a", first, np.array([0, 2, 3, 5])),
        JudgedType("b", second, np.array([1, 4])),
    ]
    report = ScoreSheet(task, types, ClusteredBootstrap(list(range(6)))).report()
    assert report["overall"]["score"] == pytest.approx((0 + 1 + 2 + 0 + 0 + 1) / 6)
    assert report["overall"]["macro"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert report["overall"]["accuracy"] is None
    assert report["by_type"]["a"]["confusion"]["labels"][0] == "aa"
    assert report["by_type"]["b"]["oa"] == 0.0
    assert report["parse_failures"] == {"n": 0, "rate": 0.0}
