"""Interrupted, sharded and competing runs: the same bytes as one run, or a refusal that says why."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch

from geoprose.core.errors import TaskError
from geoprose.evaluation import predict as predict_module
from geoprose.evaluation.locking import hold
from geoprose.evaluation.predict import pieces_of
from geoprose.evaluation.predictions import read_predictions
from geoprose.evaluation.resume import Shard, Workplace, plan_differences
from geoprose.evaluation.run import EvaluateOptions, evaluate
from geoprose.evaluation.run_record import LoadedSystem, load_for_evaluation
from geoprose.evaluation.run_samples import read_sample_set
from geoprose.systems.save import save_system
from tests.fixtures.questions import colour_task, write_colours
from tests.fixtures.systems import randomise, tiny_system

if TYPE_CHECKING:
    from pathlib import Path

FILES = ("predictions.jsonl", "baselines/shuffled.jsonl", "baselines/majority.jsonl", "baselines/colour.jsonl")
PIECE = 4


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict_module, "PIECE", PIECE)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_colours(tmp_path_factory.mktemp("colours") / "data")


@pytest.fixture(scope="module")
def system() -> LoadedSystem:
    return load_for_evaluation(tiny_system(dtype=torch.float32))


def _run(system: LoadedSystem | None, data_dir: Path, out: Path, **options: Any) -> dict[str, Any]:
    task = options.pop("task", colour_task())
    return evaluate(system, task, data_dir, out, EvaluateOptions(has_report=False, batch_size=4, **options))


@pytest.fixture(scope="module")
def whole(system: LoadedSystem, data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predict_module, "PIECE", PIECE)
        _run(system, data_dir, out)
    return out


def _bytes(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in FILES}


def test_a_run_that_was_interrupted_gives_the_same_bytes(
    system: LoadedSystem, data_dir: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    append = Workplace.append

    def cut_off(work: Workplace, source: str, rows: Any) -> None:
        if len(written) == 6:  # in the middle of the second source, with half a piece on the disk
            append(work, source, rows[:2])
            with (work.out_dir / "partial" / f"{source}-1-of-1.jsonl").open("ab") as handle:
                handle.write(b'{"id": "half a li')
            raise KeyboardInterrupt
        written.append(source)
        append(work, source, rows)

    monkeypatch.setattr(Workplace, "append", cut_off)
    with pytest.raises(KeyboardInterrupt):
        _run(system, data_dir, tmp_path)
    assert not (tmp_path / "run.json").exists()
    monkeypatch.setattr(Workplace, "append", lambda *given: (written.append(given[1]), append(*given))[1])
    _run(system, data_dir, tmp_path)
    assert _bytes(tmp_path) == _bytes(whole)
    pieces = 5  # 18 questions, two of one picture, at most four a piece
    assert written == ["system"] * pieces + ["shuffled"] * pieces  # nothing whole was answered twice
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["sessions"] == 2
    assert not (tmp_path / "partial").exists()


def test_a_finished_run_is_not_answered_again(
    system: LoadedSystem, data_dir: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _bytes(whole), (whole / "run.json").read_bytes(), (whole / "result.json").read_bytes()
    monkeypatch.setattr(predict_module, "predict_all", lambda *_: pytest.fail("answered again"))
    _run(system, data_dir, whole)
    assert (_bytes(whole), (whole / "run.json").read_bytes(), (whole / "result.json").read_bytes()) == before


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_shards_in_any_order_give_the_same_bytes(
    system: LoadedSystem, data_dir: Path, whole: Path, tmp_path: Path, order: tuple[int, ...]
) -> None:
    for place in order[:-1]:
        result = _run(system, data_dir, tmp_path, shard=Shard(place, 3))
        assert result["waiting_for"]
        assert not (tmp_path / "result.json").exists()
    with pytest.raises(TaskError, match=f"lacks shard {order[-1]} of 3"):
        _run(None, data_dir, tmp_path, is_merge=True)
    result = _run(system, data_dir, tmp_path, shard=Shard(order[-1], 3))
    assert result["overall"]["n"] == 18
    assert _bytes(tmp_path) == _bytes(whole)
    assert _run(None, data_dir, tmp_path, is_merge=True)["overall"] == result["overall"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"task": colour_task(max_new_tokens=2)}, r"task\.max_new_tokens was 3, is 2"),
        ({"limit": 5}, "limit was null, is 5"),
        ({"shots": 1}, r"task\.prompt\.shots was 0, is 1"),
        ({"shard": Shard(1, 2)}, "shards was 1, is 2"),
    ],
)
def test_another_task_is_refused_with_the_difference(
    system: LoadedSystem, data_dir: Path, whole: Path, changes: dict[str, Any], named: str
) -> None:
    before = _bytes(whole)
    with pytest.raises(TaskError, match=named):
        _run(system, data_dir, whole, **changes)
    assert _bytes(whole) == before


def test_another_system_or_other_data_are_refused(
    system: LoadedSystem, data_dir: Path, whole: Path, tmp_path: Path
) -> None:
    other = tiny_system(dtype=torch.float32)
    randomise(other.model, seed=5)
    with pytest.raises(TaskError, match=r"system\.sha256 was .*--no-resume"):
        _run(load_for_evaluation(other), data_dir, whole)
    changed = write_colours(tmp_path / "data", count=10)
    with pytest.raises(TaskError, match="data_sha256 was"):
        _run(system, changed, whole)


def test_scoring_may_change_without_answering_again(system: LoadedSystem, data_dir: Path, whole: Path) -> None:
    described = colour_task(description="Other words.", examples_per_type=1)
    assert _run(system, data_dir, whole, task=described)["overall"]["n"] == 18


def test_changed_pictures_are_noticed(system: LoadedSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_colours(tmp_path / "data")
    append = Workplace.append

    def once(work: Workplace, source: str, rows: Any) -> None:
        append(work, source, rows)
        raise KeyboardInterrupt

    monkeypatch.setattr(Workplace, "append", once)
    with pytest.raises(KeyboardInterrupt):
        _run(system, data, tmp_path / "out")
    monkeypatch.setattr(Workplace, "append", append)
    (data / "images" / "test-0.png").write_bytes((data / "images" / "test-1.png").read_bytes())
    with pytest.raises(TaskError, match="pictures of test-0-colour have changed"):
        _run(system, data, tmp_path / "out")
    assert _run(system, data, tmp_path / "out", is_resume=False)["overall"]["n"] == 18


def test_the_second_process_is_refused_and_told_the_holder(
    system: LoadedSystem, data_dir: Path, tmp_path: Path
) -> None:
    with hold(tmp_path, "1-of-1"):
        with pytest.raises(TaskError, match=f"in use by process {os.getpid()} on "):
            _run(system, data_dir, tmp_path)
        with pytest.raises(TaskError, match="in use by process"):  # nor may another shard clear the folder
            _run(system, data_dir, tmp_path, shard=Shard(1, 2), is_resume=False)
    (tmp_path / ".lock-1-of-1").write_text("process 1 on a machine that was switched off\n")  # stale: nobody holds it
    assert _run(system, data_dir, tmp_path)["overall"]["n"] == 18


def test_predictions_without_a_plan_are_not_overwritten(system: LoadedSystem, data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "predictions.jsonl").write_text("{}\n")
    with pytest.raises(TaskError, match="no record of what was asked"):
        _run(system, data_dir, tmp_path)


def test_a_previous_run_and_a_blind_system_stand_beside(
    system: LoadedSystem, data_dir: Path, whole: Path, tmp_path: Path
) -> None:
    first = _run(system, data_dir, tmp_path)
    seconds = json.loads((tmp_path / "run.json").read_text())["seconds"]
    result = _run(system, data_dir, tmp_path, blind=system, previous=whole)
    assert set(result["baselines"]) == {"shuffled", "majority", "colour", "blind", "previous"}
    assert result["overall"] == first["overall"]
    assert result["differences"]["previous"]["overall"]["difference"] == 0
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["seconds"].keys() == {*seconds, "blind"}
    assert run["seconds"]["system"] == seconds["system"]
    assert {row.source for row in read_predictions(tmp_path / "baselines" / "previous.jsonl")} == {"previous"}


def test_pieces_hold_every_sample_once_and_keep_pictures_together(data_dir: Path) -> None:
    samples = read_sample_set(colour_task(), data_dir, None).asked
    pieces = pieces_of(samples, 4)
    assert sorted(place for piece in pieces for place in piece) == list(range(18))
    assert all(len(piece) <= 4 for piece in pieces)
    for piece in pieces:
        assert len({samples[place].images for place in piece}) * 2 == len(piece)
    assert [len(piece) for piece in pieces_of(samples, 1)] == [1] * 18


def test_ids_that_occur_twice_are_refused(data_dir: Path, tmp_path: Path) -> None:
    data = write_colours(tmp_path / "data")
    lines = (data / "test.jsonl").read_text()
    (data / "test.jsonl").write_text(lines + lines.split("\n")[0] + "\n")
    with pytest.raises(TaskError, match="1 ids more than once"):
        read_sample_set(colour_task(), data, None)


def test_plans_are_compared_key_by_key() -> None:
    old = {"task": {"split": "test", "labels": []}, "blind": None, "limit": 3}
    assert plan_differences(old, old | {"blind": "abc"}) == []
    assert plan_differences(old | {"blind": "x"}, old | {"blind": "y"}) == ['blind was "x", is "y"']
    changed = {"task": {"split": "val", "labels": []}, "blind": None, "limit": None}
    assert plan_differences(old, changed) == ['task.split was "test", is "val"', "limit was 3, is null"]


@pytest.mark.parametrize("text", ["0/2", "3/2", "2", "a/b", "1/0"])
def test_shards_are_read_strictly(text: str) -> None:
    with pytest.raises(TaskError, match="--shard"):
        Shard.parse(text)


KILLED = """
import os, signal
import geoprose.evaluation.predict as predict
from geoprose.evaluation.resume import Workplace
predict.PIECE = 4
append, count = Workplace.append, [0]
def killed(work, source, rows):
    count[0] += 1
    if count[0] == 3:
        append(work, source, rows[:1])
        os.kill(os.getpid(), signal.SIGKILL)
    append(work, source, rows)
if {is_killed}:
    Workplace.append = killed
from geoprose.cli.main import main
main()
"""


@pytest.mark.slow
def test_a_killed_command_line_goes_on_to_the_same_bytes(
    system: LoadedSystem, data_dir: Path, whole: Path, tmp_path: Path
) -> None:
    import yaml

    folder = save_system(system.system, tmp_path / "system")
    task = tmp_path / "colours.yaml"
    task.write_text(yaml.safe_dump(colour_task().model_dump(mode="json", exclude_defaults=True)))
    out = tmp_path / "out"
    words = ["evaluate", str(folder), "--task", str(task), "--data", str(data_dir), "--out", str(out)]

    def run(is_killed: bool) -> subprocess.CompletedProcess[str]:
        code = KILLED.replace("{is_killed}", str(is_killed))
        command = [sys.executable, "-c", code, *words, "--batch-size", "4"]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)

    first = run(is_killed=True)
    assert first.returncode == -signal.SIGKILL, first.stderr
    assert not (out / "predictions.jsonl").exists()
    second = run(is_killed=False)
    assert second.returncode == 0, second.stderr
    assert "system: 18 questions" in second.stderr
    assert _bytes(out) == _bytes(whole)
