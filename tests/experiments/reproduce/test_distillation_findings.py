"""The verdict of the distillation on figures that were made up: every question in its three outcomes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from geoprose.experiments.reproduce.base import Arm, Trial, Workplace
from geoprose.experiments.reproduce.distillation import Distillation, DistillationSettings
from geoprose.experiments.reproduce.distillation_charts import distillation_charts
from geoprose.experiments.reproduce.distillation_exam import COLUMNS
from geoprose.experiments.reproduce.distillation_findings import distillation_findings, gap_share
from geoprose.experiments.reproduce.score_table import ScoreTable
from geoprose.experiments.reproduce.scores import Measured

if TYPE_CHECKING:
    from geoprose.experiments.reproduce.findings import Finding

NUM = 160


def table_of(**chances: float | tuple[float, float]) -> ScoreTable:
    """Scores of three seeds of each arm (one of the teacher) that are right with a chance.

    A pair is the chance in every figure, and that in ``moa``. An answer is right when the picture is easier than the
    arm is good, so arms are compared in pairs, as real ones are; a small noise tells seeds apart.
    """
    hardness = np.random.default_rng(0).random(NUM)
    trials = {}
    for arm, chance in chances.items():
        whole, moa = chance if isinstance(chance, tuple) else (chance, chance)
        for seed in range(1 if arm == "teacher" else 3):
            scores = {}
            for number, column in enumerate(COLUMNS):
                noise = 0.02 * np.random.default_rng([seed, number]).standard_normal(NUM)
                right = hardness + noise < (moa if column.name == "moa" else whole)
                ids = tuple(f"{column.name}-{place}" for place in range(NUM))
                pictures = tuple(f"picture-{place}" for place in range(NUM))
                scores[column.name] = Measured(ids, pictures, tuple(map(float, right)))
            trials[Trial(Arm(arm, arm), seed)] = scores
    return ScoreTable(trials)


def found(table: ScoreTable, start: str) -> Finding:
    (one,) = [finding for finding in distillation_findings(table) if finding.question.startswith(start)]
    return one


@pytest.mark.parametrize(("teacher", "outcome"), [(0.7, "yes"), (0.5, "undecided"), (0.3, "no")])
def test_the_gap(teacher: float, outcome: str) -> None:
    assert found(table_of(plain=0.5, teacher=teacher), "Is there a gap").outcome == outcome


@pytest.mark.parametrize(("student", "outcome"), [(0.6, "yes"), (0.5, "undecided"), (0.4, "no")])
def test_a_method_against_plain(student: float, outcome: str) -> None:
    one = found(table_of(plain=0.5, teacher=0.7, forward_kl=student), "Does forward KL close")
    assert one.outcome == outcome


def test_the_share_of_the_gap_by_hand() -> None:
    table = table_of(plain=0.5, teacher=0.7, forward_kl=0.6)
    share = gap_share(table, "forward_kl", "mean")
    assert share is not None
    plain, teacher, own = (table.estimate(arm, "mean").mean for arm in ("plain", "teacher", "forward_kl"))
    assert share.mean == pytest.approx((own - plain) / (teacher - plain))
    assert share.low < share.mean < share.high
    assert share.mean == pytest.approx(0.5, abs=0.15)
    assert f"{100 * share.mean:.0f} % (95 %" in found(table, "Does forward KL close").sentence


def test_no_share_of_a_gap_that_is_not_certain() -> None:
    table = table_of(plain=0.5, teacher=0.505, forward_kl=0.6)
    assert gap_share(table, "forward_kl", "mean") is None
    assert "no share of the lead can be given" in found(table, "Does forward KL close").sentence


@pytest.mark.parametrize(("features", "outcome"), [(0.6, "yes"), (0.5, "undecided"), (0.4, "no")])
def test_feature_alignment_is_compared_with_the_same_method_without_it(features: float, outcome: str) -> None:
    one = found(table_of(plain=0.5, teacher=0.7, plain_features=features), "Does feature alignment help plain")
    assert one.outcome == outcome


def test_a_student_that_exceeds_its_teacher_in_one_figure_is_named() -> None:
    one = found(table_of(plain=0.5, teacher=0.7, forward_kl=(0.6, 0.85)), "Does a student exceed")
    assert one.outcome == "yes"
    assert one.sentence.startswith("Yes: forward KL in mOA by +")


def test_students_that_stay_below_everywhere_are_said_to() -> None:
    one = found(table_of(plain=0.4, teacher=0.8, forward_kl=0.5), "Does a student exceed")
    assert one.outcome == "no"
    assert one.sentence.startswith(
        "No student exceeds the teacher in any figure beyond doubt. Of 14 comparisons 14 are"
    )


def test_a_lead_that_chance_can_explain_is_said_to_be_one() -> None:
    one = found(table_of(plain=0.5, teacher=0.7, forward_kl=0.705), "Does a student exceed")
    assert one.outcome == "undecided"
    assert "which chance can explain" in one.sentence


def test_the_drawings_show_gains_and_shares_where_there_is_a_gap() -> None:
    arms = Distillation(Workplace(Path(), "small", (0, 1, 2), None, print), DistillationSettings()).arms()
    drawn = "".join(distillation_charts(arms, table_of(plain=0.5, teacher=0.7, forward_kl=0.6)))
    assert drawn.count("<figcaption>Gain over plain") == 5 == drawn.count("<figcaption>Share of the teacher")
    without = "".join(distillation_charts(arms, table_of(plain=0.5, teacher=0.5, forward_kl=0.6)))
    assert "Share of the teacher" not in without
    assert without.count("<figcaption>Gain over plain") == 5


def test_arms_that_are_missing_are_not_talked_about() -> None:
    assert distillation_findings(table_of(plain=0.5)) == []
