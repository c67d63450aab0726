"""One evaluation in several processes of this machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
import torch
import yaml

from geoprose.core.errors import TaskError
from geoprose.data.neutral import read_samples
from geoprose.evaluation import processes
from geoprose.evaluation.predict import pieces_of
from geoprose.evaluation.predictions import predictions_path
from geoprose.evaluation.processes import evaluate_in_processes
from geoprose.evaluation.run import evaluate
from geoprose.evaluation.run_options import EvaluateOptions
from geoprose.systems.save import save_system
from tests.fixtures.questions import colour_task, write_colours
from tests.fixtures.systems import tiny_system

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("processes")
    write_colours(folder / "data", count=3)
    save_system(tiny_system(dtype=torch.float32), folder / "system")
    task = colour_task(baselines=("majority", "shuffled")).model_dump(mode="json", exclude_defaults=True)
    (folder / "colours.yaml").write_text(yaml.safe_dump(task))
    return folder


def test_another_process_that_fails_is_reported_and_threads_come_back(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_command", lambda *_: [sys.executable, "-c", "raise SystemExit('no memory left')"])
    threads = torch.get_num_threads()
    dirs = (place / "data", tmp_path)
    with pytest.raises(TaskError, match=r"run again to go on.*\n.*no memory left"):
        evaluate_in_processes(place / "system", str(place / "colours.yaml"), dirs, EvaluateOptions(), 2)
    assert torch.get_num_threads() == threads
    assert list(tmp_path.glob("partial/*1-of-2*")), "what this process answered must stay"


def test_pieces_are_even(place: Path) -> None:
    samples = list(read_samples(place / "data" / "test.jsonl")) * 4
    sizes = [len(piece) for piece in pieces_of(samples, 16)]
    assert sum(sizes) == len(samples)
    assert max(sizes) - min(sizes) <= 4


@pytest.mark.slow
def test_two_processes_give_the_predictions_of_one(place: Path, tmp_path: Path) -> None:
    system, task = place / "system", str(place / "colours.yaml")
    alone = evaluate(system, task, place / "data", tmp_path / "one")
    dirs = (place / "data", tmp_path / "two")
    for is_resume in (True, False):
        shared = evaluate_in_processes(system, task, dirs, EvaluateOptions(is_resume=is_resume), 2)
        assert shared["overall"] == alone["overall"]
        for source in ("system", "majority", "shuffled"):
            one, two = (predictions_path(tmp_path / folder, source).read_bytes() for folder in ("one", "two"))
            assert one == two, source
