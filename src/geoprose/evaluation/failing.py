"""Which question types the system fails on, and what the numbers say about why."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from geoprose.answers.normalise import normalise_answer
from geoprose.evaluation.predictions import references_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from geoprose.core.types import Sample
    from geoprose.evaluation.scoring import Scored

RULER = "majority_per_question"
"""The baseline that a question type must beat."""
FEW_QUESTIONS = 60
COLLAPSE = 0.15
"""How much more frequent than in the references the commonest prediction may be."""


def failing_types(
    report: Mapping[str, Any], differences: Mapping[str, Any], samples: Sequence[Sample], system: Scored
) -> list[dict[str, Any]]:
    """List the types whose score is not clearly above the majority answer per question text, with reasons.

    Args:
        report: ``by_type`` and ``baselines`` of the result.
        differences: ``differences`` of the result.
        samples: The samples, in the order of the judgements.
        system: The system's judgements.
    """
    if RULER not in report["baselines"]:
        return []
    found = []
    for name, block in report["by_type"].items():
        gap = differences[RULER]["by_type"][name]
        if gap["ci95"] and gap["ci95"][0] > 0:
            continue
        found.append(
            {
                "type": name,
                "verdict": "not above" if gap["difference"] <= 0 else "above, but the interval reaches zero",
                "score": block["score"],
                RULER: report["baselines"][RULER]["by_type"][name]["score"],
                "difference": gap["difference"],
                "ci95": gap["ci95"],
                "reasons": _reasons(name, report, differences, _answers_of(name, samples, system)),
            }
        )
    return found


def _answers_of(name: str, samples: Sequence[Sample], system: Scored) -> tuple[list[str], list[str]]:
    kept = [(s, j) for s, j in zip(samples, system.judgements, strict=True) if s.task == name]
    return [j.label for _, j in kept], [normalise_answer(references_of(s)[0]) for s, _ in kept]


def _reasons(
    name: str, report: Mapping[str, Any], differences: Mapping[str, Any], answers: tuple[list[str], list[str]]
) -> list[str]:
    block, baselines = report["by_type"][name], report["baselines"]
    given, right = answers
    reasons = []
    if block["parse_failure_rate"] > 0.05:
        reasons.append(
            f"{_percent(block['parse_failure_rate'])} of the answers could not be read as an answer of this type."
        )
    top, count = Counter(given).most_common(1)[0]
    share, true_share = count / len(given), right.count(top) / len(right)
    if share - true_share > COLLAPSE:
        reasons.append(
            f'It says "{top}" in {_percent(share)} of the cases; that is right in {_percent(true_share)} of them.'
        )
    if "shuffled" in differences and (differences["shuffled"]["by_type"][name]["ci95"] or (0,))[0] <= 0:
        shuffled = baselines["shuffled"]["by_type"][name]["score"]
        reasons.append(f"Its answers hardly depend on the picture: with other pictures it scores {_percent(shuffled)}.")
    best = max(
        ((baselines[b]["by_type"][name]["score"], b) for b in ("colour", "probe") if b in baselines), default=None
    )
    if best is not None and best[0] > block["score"]:
        reasons.append(f"The pictures do hold the answer: the {best[1]} baseline reaches {_percent(best[0])}.")
    if block["n"] < FEW_QUESTIONS:
        reasons.append(f"Only {block['n']} questions: the interval is wide.")
    return reasons or ["None of the checks (parsing, one repeated answer, blindness, few questions) explains it."]


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"
