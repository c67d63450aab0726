"""Evaluate a system on a task of your own, next to baselines.

    python examples/06_evaluate.py runs/tiny/system data/port runs/tiny-eval

Needs ``geoprose[eval]``. The data is what example 04 writes, the system what example 05 trains.
"""

from __future__ import annotations

import sys
from pathlib import Path

from geoprose.evaluation.run import evaluate
from geoprose.evaluation.table import score_table
from geoprose.evaluation.tasks import QuestionType, TaskSpec

TASK = TaskSpec(
    name="brightest-band",
    title="Which band is brightest?",
    description="The answer is the name of a band, judged by exact match after normalisation.",
    source="examples/04_build_and_check_data.py",
    types={"dominant": QuestionType(metric="exact", chance="1 of the bands")},
    overall=("dominant",),
    baselines=("shuffled", "majority"),
    max_new_tokens=8,
)


def main(system_dir: str, data_dir: str, out_dir: str) -> None:
    """Predict, score, and print the table; predictions and report lie in ``out_dir``."""
    result = evaluate(system_dir, TASK, Path(data_dir), Path(out_dir))
    print(score_table(result))
    overall = result["overall"]
    print(f"{overall['n']} questions, accuracy {overall['accuracy']:.2f}, interval {overall['ci95']}")
    print(f"report: {Path(out_dir) / 'report.html'}")


if __name__ == "__main__":
    main(*sys.argv[1:4])
