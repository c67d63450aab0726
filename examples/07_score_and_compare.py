"""Score two files of somebody's answers by every named rule, and compare them question by question.

    python examples/07_score_and_compare.py theirs.jsonl ours.jsonl runs/scored

No model and no torch are needed. The layout (lmms-eval, VLMEvalKit, LLaVA, ...) is told from the keys of each file.
"""

from __future__ import annotations

import sys
from pathlib import Path

from geoprose.evaluation.compare import compare_runs
from geoprose.evaluation.score.request import ScoreRequest
from geoprose.evaluation.score.run import score_file
from geoprose.evaluation.score.table import file_score_table

TASK = "vqa"


def show(path: Path, out_dir: Path) -> None:
    """Score one file and print the default score, then every named rule, faulty ones marked."""
    result = score_file(ScoreRequest(path, TASK, out=out_dir))
    overall = result["overall"]
    low, high = overall["ci95"]
    print(f"{path.name}: {overall['n']} answers, accuracy {overall['accuracy']:.2f}, interval {low:.2f} to {high:.2f}")
    print(file_score_table(result))


def main(first: str, second: str, out: str) -> None:
    """Score both files below ``out``, then print their paired difference with its interval and p-value."""
    folders = [Path(out) / name for name in ("first", "second")]
    for path, folder in zip((first, second), folders, strict=True):
        show(Path(path), folder)
    comparison = compare_runs(*folders, Path(out) / "comparison")
    block = comparison["overall"]
    print(f"difference {block['difference']:+.2f} over {block['n']} shared questions, p {block['p_permutation']:.2f}")
    for warning in comparison["warnings"]:
        print(f"warning: {warning}")


if __name__ == "__main__":
    main(*sys.argv[1:4])
