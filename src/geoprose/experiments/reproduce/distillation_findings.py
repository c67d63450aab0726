"""What the distillation shows: the gap, who closes it, whether features help, whether a student exceeds the teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geoprose.experiments.reproduce.distillation_exam import COLUMNS, MEAN
from geoprose.experiments.reproduce.distillation_methods import METHODS, PLAIN, TEACHER
from geoprose.experiments.reproduce.findings import Contrast, Finding, Outcome, contrasts, listed, points
from geoprose.experiments.reproduce.score_table import interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.experiments.reproduce.score_table import Interval, ScoreTable

_COLUMN = {column.name: column for column in COLUMNS}
_OUTCOMES: dict[str, Outcome] = {"higher": "yes", "lower": "no", "undecided": "undecided"}
MOST_WITHOUT_GAP = 0.025
"""Share of resamples without a gap above which no share of it can be said to be closed."""


def distillation_findings(table: ScoreTable) -> list[Finding]:
    """Answer the questions of brief 004; those whose arms were not measured yet are left out."""
    methods = [name for name in METHODS if name in table.arms and name != PLAIN]
    found = [*_gap(table)]
    found += [finding for name in methods for finding in _closes(table, name)]
    found += [finding for name in methods if METHODS[name].without for finding in _features(table, name)]
    return [*found, *_exceeds(table, [name for name in (PLAIN, *methods) if name in table.arms])]


def gap_share(table: ScoreTable, arm: str, metric: str) -> Interval | None:
    """Return which share of the teacher's lead over the plain student an arm closes, with its interval.

    None where the lead is not there in more than a fortieth of the resamples: a share of nothing has no interval.
    """
    if not table.has(metric, arm, PLAIN, TEACHER):
        return None
    plain_R, teacher_R, arm_R = (table.resampled(name, metric) for name in (PLAIN, TEACHER, arm))
    gap_R = teacher_R - plain_R
    plain, teacher, own = (table.estimate(name, metric).mean for name in (PLAIN, TEACHER, arm))
    if np.mean(gap_R <= 0) > MOST_WITHOUT_GAP or teacher <= plain:
        return None
    kept = gap_R > 0
    return interval((own - plain) / (teacher - plain), (arm_R - plain_R)[kept] / gap_R[kept])


def _gap(table: ScoreTable) -> list[Finding]:
    found = contrasts(table, [(TEACHER, PLAIN, column.name) for column in COLUMNS])
    if not found:
        return []
    whole = next(one for one in found if one.metric == MEAN)
    leads = _named(found, "higher")
    sentence = (
        f"On the mean of the four tasks the teacher minus the student trained plainly is {_points(whole)}. "
        f"It leads in {leads or 'no figure'}"
        f"{_beyond_doubt(leads)}."
    )
    question = "Is there a gap between the teacher and the student trained on the right answers alone?"
    return [Finding(question, _OUTCOMES[whole.direction], sentence, _json(found))]


def _closes(table: ScoreTable, name: str) -> list[Finding]:
    found = contrasts(table, [(name, PLAIN, column.name) for column in COLUMNS])
    whole = next((one for one in found if one.metric == MEAN), None)
    if whole is None:
        return []
    shares = {column.name: gap_share(table, name, column.name) for column in COLUMNS}
    share = shares[MEAN]
    closed = (
        f"{_percent(share)} of the teacher's lead"
        if share is not None
        else "no share of the lead can be given, because the lead itself is not certain"
    )
    better, worse = _named(found, "higher"), _named(found, "lower")
    sentence = (
        f"{_capital(METHODS[name].title)} minus plain is {_points(whole)} on the mean of the four tasks: {closed}. "
        f"Higher in {better or 'no single figure'}{_beyond_doubt(better)}"
        f"{f'; lower in {worse}' if worse else ''}."
    )
    figures = _json(found) | {
        "share_of_gap": {key: None if one is None else one.as_json() for key, one in shares.items()}
    }
    question = f"Does {METHODS[name].title} close a part of the gap?"
    return [Finding(question, _OUTCOMES[whole.direction], sentence, figures)]


def _features(table: ScoreTable, name: str) -> list[Finding]:
    without = METHODS[name].without
    found = contrasts(table, [(name, without, column.name) for column in COLUMNS])
    whole = next((one for one in found if one.metric == MEAN), None)
    if whole is None:
        return []
    better, worse = _named(found, "higher"), _named(found, "lower")
    sentence = (
        f"With it, {METHODS[without].title} changes by {_points(whole)} on the mean of the four tasks. "
        f"Higher in {better or 'no single figure'}, lower in {worse or 'none'}{_beyond_doubt(better or worse)}."
    )
    question = f"Does feature alignment help {METHODS[without].title}?"
    return [Finding(question, _OUTCOMES[whole.direction], sentence, _json(found))]


def _exceeds(table: ScoreTable, arms: Sequence[str]) -> list[Finding]:
    single = [column for column in COLUMNS if column.name != MEAN]
    found = contrasts(table, [(arm, TEACHER, column.name) for arm in arms for column in single])
    if not found:
        return []
    above = [one for one in found if one.direction == "higher"]
    below = [one for one in found if one.direction == "lower"]
    leading = [one for one in found if one.difference.mean > 0]
    if above:
        sentence = "Yes: " + "; ".join(f"{_who(one)} by {_points(one)}" for one in above) + "."
    else:
        sentence = "No student exceeds the teacher in any figure beyond doubt."
        if leading:
            best = max(leading, key=lambda one: one.difference.mean)
            sentence += (
                f" {len(leading)} of {len(found)} means lie above the teacher's, the largest being {_who(best)} by "
                f"{_points(best)}, which chance can explain."
            )
    sentence += (
        f" Of {len(found)} comparisons {len(below)} are below the teacher beyond doubt. Brief 004 reports a student "
        "above its teacher on three of four tasks, without intervals."
    )
    outcome: Outcome = "yes" if above else "no" if len(below) == len(found) else "undecided"
    question = "Does a student exceed the teacher anywhere?"
    return [Finding(question, outcome, sentence, {"contrasts": [one.as_json() for one in found]})]


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _who(one: Contrast) -> str:
    return f"{METHODS[one.arm].title} in {_COLUMN[one.metric].title}"


def _points(one: Contrast) -> str:
    return f"{points(one.difference, _COLUMN[one.metric])[:-1]}, corrected p {one.p_holm:.2g})"


def _named(found: Sequence[Contrast], direction: str) -> str:
    return listed(_COLUMN[one.metric].title for one in found if one.direction == direction and one.metric != MEAN)


def _beyond_doubt(named: str) -> str:
    return " (interval and corrected test agree)" if named else ""


def _percent(one: Interval) -> str:
    return f"{100 * one.mean:.0f} % (95 % interval {100 * one.low:.0f} to {100 * one.high:.0f} %)"


def _json(found: Sequence[Contrast]) -> dict[str, Any]:
    return {"contrasts": [one.as_json() for one in found]}
