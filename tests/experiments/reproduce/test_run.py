from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import ConfigError, TaskError
from geoprose.experiments.reproduce.run import ReproduceOptions, run_reproduction
from geoprose.training.checkpoints.lock import run_lock
from tests.experiments.reproduce.toy import Toy, make_known

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    make_known(monkeypatch)


def test_seed_by_seed_and_what_is_trained_once_is_trained_once(tmp_path: Path) -> None:
    said: list[str] = []
    result = run_reproduction("toy", tmp_path / "run", ReproduceOptions(seeds=2, say=said.append))
    assert Toy.trained == ["a, seed 0", "b, seed 0", "fixed, seed 0", "a, seed 1", "b, seed 1"]
    assert {name: arm["seeds"] for name, arm in result["arms"].items()} == {"a": [0, 1], "b": [0, 1], "fixed": [0]}
    assert result == json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["costs"] == {"a": {"parameters": 10}, "b": {"parameters": 20, "ms": 1.5}}
    assert set(result["seconds"]) == set(Toy.trained)
    assert result["findings"][0]["outcome"] == "yes"
    assert said[0] == "prepare"
    assert "train a, seed 0 (1 of 5)" in said


def test_a_stopped_run_goes_on_and_gives_the_same_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run_reproduction("toy", tmp_path / "whole", ReproduceOptions(seeds=2))
    monkeypatch.setattr(Toy, "trained", [])
    monkeypatch.setattr(Toy, "fails_at", "b, seed 1")
    with pytest.raises(RuntimeError, match="the power went"):
        run_reproduction("toy", tmp_path / "run", ReproduceOptions(seeds=2))
    partial = json.loads((tmp_path / "run" / "result.json").read_text())
    assert partial["arms"]["b"]["seeds"] == [0]
    assert partial["arms"]["a"]["seeds"] == [0, 1]
    assert (tmp_path / "run" / "report.html").is_file()
    monkeypatch.setattr(Toy, "fails_at", "")
    monkeypatch.setattr(Toy, "trained", [])
    again = run_reproduction("toy", tmp_path / "run", ReproduceOptions(seeds=2))
    assert Toy.trained == ["b, seed 1"]
    assert again["arms"] == whole["arms"]
    assert again["findings"] == whole["findings"]


def test_seeds_may_be_added(tmp_path: Path) -> None:
    run_reproduction("toy", tmp_path / "run", ReproduceOptions(seeds=1))
    Toy.trained.clear()
    run_reproduction("toy", tmp_path / "run", ReproduceOptions(seeds=2))
    assert Toy.trained == ["a, seed 1", "b, seed 1"]


def test_other_settings_are_refused_with_the_difference(tmp_path: Path) -> None:
    run_reproduction("toy", tmp_path / "run", ReproduceOptions(seeds=1))
    with pytest.raises(ConfigError, match=r"gain was 0\.3, is 0\.1"):
        run_reproduction("toy", tmp_path / "run", ReproduceOptions(seeds=1, overrides=("gain=0.1",)))
    with pytest.raises(ConfigError, match="scale was 'small', is 'tiny'"):
        run_reproduction("toy", tmp_path / "run", ReproduceOptions(seeds=1, scale="tiny"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (ReproduceOptions(seeds=0), "at least 1"),
        (ReproduceOptions(overrides=("gian=1",)), "gain"),
        (ReproduceOptions(arms=("bb",)), "Did you mean 'b'"),
    ],
)
def test_bad_options_write_nothing(tmp_path: Path, options: ReproduceOptions, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        run_reproduction("toy", tmp_path / "run", options)
    assert not (tmp_path / "run").exists()


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="distillation"):
        run_reproduction("distilation", tmp_path / "run")


def test_phases_and_arms_on_their_own(tmp_path: Path) -> None:
    out = tmp_path / "run"
    run_reproduction("toy", out, ReproduceOptions(seeds=1, only="prepare"))
    assert Toy.trained == []
    assert (out / "prepared").is_file()
    run_reproduction("toy", out, ReproduceOptions(seeds=1, only="train", arms=("b",)))
    assert Toy.trained == ["b, seed 0"]
    assert not (out / "trials" / "b" / "seed-0" / "scores.json").is_file()
    result = run_reproduction("toy", out, ReproduceOptions(seeds=1, only="evaluate", arms=("b",)))
    assert list(result["arms"]) == ["b"]
    assert result["missing"] == ["a", "fixed"]
    assert result["findings"] == []
    assert Toy.trained == ["b, seed 0"]
    assert run_reproduction("toy", out, ReproduceOptions(seeds=1, only="report"))["arms"] == result["arms"]


def test_a_trial_that_another_process_holds_is_left_to_it(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with run_lock(out / "trials" / "b" / "seed-0", ".lock-trial"):
        result = run_reproduction("toy", out, ReproduceOptions(seeds=1))
    assert Toy.trained == ["a, seed 0", "fixed, seed 0"]
    assert result["missing"] == ["b"]
    assert result["costs"] == {}, "the costs are left to whoever ends last"


def test_shared_parts_are_made_by_whoever_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "run"
    made: list[str] = []
    said: list[str] = []

    def shared(_self: Toy) -> dict[str, Callable[[], None]]:
        return {name: partial(made.append, name) for name in ("teacher", "start")}

    monkeypatch.setattr(Toy, "shared", shared)
    with ThreadPoolExecutor() as pool, ExitStack() as other_process:
        other_process.enter_context(run_lock(out, ".lock-teacher"))
        working = pool.submit(run_reproduction, "toy", out, ReproduceOptions(seeds=1, say=said.append))
        while "wait for teacher, which another process is at" not in said and not working.done():
            time.sleep(0.01)
        assert made == ["start"]
        assert Toy.trained == [], "no trial begins before everything that it needs is made"
        other_process.close()
        working.result()
    assert made == ["start", "teacher"], "a part whose holder may have failed is looked at again"
    assert "a, seed 0" in Toy.trained


def test_trials_that_were_asked_other_questions_are_not_mixed(tmp_path: Path) -> None:
    run_reproduction("toy", tmp_path / "run", ReproduceOptions(seeds=1))
    path = tmp_path / "run" / "trials" / "b" / "seed-0" / "scores.json"
    path.write_text(path.read_text().replace('"q0"', '"other"'))
    with pytest.raises(TaskError, match="other questions"):
        run_reproduction("toy", tmp_path / "run", ReproduceOptions(seeds=1))


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    run_reproduction("toy", tmp_path / "run", ReproduceOptions(seeds=1))
    path = tmp_path / "run" / "trials" / "b" / "seed-0" / "scores.json"
    path.write_text(path.read_text()[:50])
    with pytest.raises(TaskError, match="Delete it"):
        run_reproduction("toy", tmp_path / "run", ReproduceOptions(seeds=1))


def test_the_page_escapes_what_it_shows(tmp_path: Path) -> None:
    run_reproduction("toy", tmp_path / "run", ReproduceOptions(seeds=2))
    page = (tmp_path / "run" / "report.html").read_text()
    assert "arm &lt;b&gt;" in page
    assert "<b>b</b>" not in page
    assert "arm <b>" not in page
    assert "Nothing &amp; nobody" in page
    assert "<svg" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
