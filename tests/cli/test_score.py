"""`geoprose score` through the command line: table, JSON, result file, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.fixtures.prediction_files import LLAVA, rsvqa_records, write_lines

if TYPE_CHECKING:
    from pathlib import Path


def geoprose(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    code = "import sys; sys.modules['torch'] = None; sys.modules['transformers'] = None\n"
    code += "from geoprose.cli.main import main; main()"  # scoring works where torch is not installed
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("score") / "lr.jsonl"
    return write_lines(path, rsvqa_records({"presence": (9, 10), "comp": (5, 10)}))


def test_table_json_and_result_file_without_torch(answers: Path, tmp_path: Path) -> None:
    done = geoprose("score", answers, "--task", "rsvqa", "--out", tmp_path / "out", "--protocol", "buckets")
    assert done.returncode == 0, done.stderr
    assert "plain layout (told from its keys), 20 rows, 20 scored" in done.stdout
    assert "mean over questions, n 20; mean over types 70.00" in done.stdout
    written = json.loads((tmp_path / "out" / "result.json").read_text())
    assert list(written["overall"]["variants"]) == ["exact", "buckets"]
    assert written["predictions"]["layout"] == "plain"
    printed = geoprose("score", answers, "--task", "rsvqa", "--protocol", "buckets", "--json")
    assert json.loads(printed.stdout) == written


def test_layouts_are_listed_with_their_sources() -> None:
    listed = json.loads(geoprose("score", "--list-layouts", "--json").stdout)
    assert {"geochat", "earthdial", "plain"} <= {row["name"] for row in listed}
    assert all(row["source"] for row in listed)


def test_exit_codes(answers: Path, tmp_path: Path) -> None:
    llava = write_lines(tmp_path / "llava.jsonl", LLAVA)
    cases = [
        ((answers,), 2, "--task"),
        ((answers, "--task", "rsvqaa"), 2, "Did you mean"),
        ((answers, "--task", "rsvqa", "--layout", "lava"), 2, "llava"),
        ((answers, "--task", "rsvqa", "--keep", "both"), 2, "first or last"),
        ((answers, "--task", "rsvqa", "--size", "12"), 2, "800x600"),
        ((tmp_path / "none.jsonl", "--task", "rsvqa"), 4, "does not exist"),
        ((llava, "--task", "vqa"), 4, "--references"),
    ]
    for arguments, code, message in cases:
        done = geoprose("score", *arguments)
        assert (done.returncode, message in done.stderr) == (code, True), (arguments, done.stderr)
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
