"""Scoring a file of the size of RSVQA-HR stays below 2 GiB."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 1_100_000
QUESTIONS_PER_PICTURE = 103


@pytest.mark.slow
@pytest.mark.parametrize("has_pictures", [True, False])
def test_a_file_of_more_than_a_million_rows_is_scored_within_two_gib(has_pictures: bool, tmp_path: Path) -> None:
    path = tmp_path / "hr.jsonl"
    generator = random.Random(0)
    with path.open("w", encoding="utf-8") as handle:
        for number in range(ROWS):
            reference = generator.choice(["yes", "no"])
            row = {
                "id": f"hr-{number}",
                "type": generator.choice(["presence", "comp"]),
                "question": f"Is there a building of kind {number % 977} at the left?",
                "prediction": reference if generator.random() < 0.8 else generator.choice(["yes", "no", ""]),
                "reference": reference,
            }
            if has_pictures:
                row["image"] = f"{number // QUESTIONS_PER_PICTURE}.png"
            handle.write(json.dumps(row) + "\n")
    code = (
        "import json, resource, sys\n"
        "from pathlib import Path\n"
        "from geoprose.evaluation.score.request import ScoreRequest\n"
        "from geoprose.evaluation.score.run import score_file\n"
        "result = score_file(ScoreRequest(Path(sys.argv[1]), 'rsvqa'))\n"
        "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(json.dumps([result['overall']['n'], peak]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    n, peak_kib = json.loads(done.stdout)
    assert n == ROWS
    assert peak_kib < 2 * 1024 * 1024
