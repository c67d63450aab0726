"""A whole evaluation on a tiny system: predictions before scores, rescoring, result and report."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from geoprose.core.errors import ConfigError, DataError, PresetError, TaskError
from geoprose.core.types import GeoRef, Message, Sample
from geoprose.data.neutral import write_samples
from geoprose.data.world.classes import CLASSES, NAMES
from geoprose.data.world.margins import Margins
from geoprose.data.world.pairs import two_tile
from geoprose.data.world.questions import RULES
from geoprose.data.world.tiles import Tile, TileFacts, facts_of
from geoprose.evaluation import run as run_module
from geoprose.evaluation.predictions import read_predictions
from geoprose.evaluation.run import EvaluateOptions, evaluate
from geoprose.evaluation.table import score_table
from geoprose.evaluation.tasks import TaskSpec, list_tasks, load_task
from tests.fixtures.systems import tiny_system

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.systems.build import System

SIDE = 32
TASKS = ("presence", "dominant", "comparison", "location", "amount", "list", "caption")


def _facts(seed: int, count: int) -> list[TileFacts]:
    rng = np.random.default_rng(seed)
    facts = []
    for number in range(count):
        grid = rng.integers(0, 4, (2, 2)).astype(np.uint8)
        facts.append(
            facts_of(Tile(number * SIDE, seed * SIDE, SIDE, f"{seed}-{number}"), grid.repeat(16, 0).repeat(16, 1))
        )
    return facts


def _write(folder: Path, name: str, facts: list[TileFacts]) -> None:
    """Write pictures whose colours give the class away, and every question that the builder's rules make."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    colours = np.array([tuple(bytes.fromhex(c.colour[1:])) for c in CLASSES], dtype=np.uint8)
    for one in facts:
        Image.fromarray(colours[one.labels_HW]).save(folder / one.tile.image_path)
    candidates = [c for task in TASKS for one in facts for c in RULES[task](one, Margins())]
    candidates += list(two_tile(facts, Margins(), 0))
    samples = []
    for number, candidate in enumerate(candidates):
        cells = [
            dict(zip(NAMES, cell.tolist(), strict=True))
            for one in candidate.facts
            for cell in one.cells_GGC.reshape(16, -1)
        ]
        georefs = tuple(
            GeoRef((0.1, 0, one.tile.x_px * 0.1 - 100, 0, -0.1, 60 - one.tile.y_px * 0.1), "EPSG:4326", SIDE, SIDE)
            for one in candidate.facts
        )
        turns = (
            Message("user", "<image>\n" * len(candidate.facts) + candidate.question),
            Message("assistant", candidate.answer),
        )
        images = tuple(one.tile.image_path for one in candidate.facts)
        samples.append(
            Sample(
                f"{name}-{number}",
                images,
                turns,
                candidate.task,
                name,
                georefs,
                {"answers": [candidate.answer], "cell_composition": cells},
            )
        )
    write_samples(samples, folder / f"{name}.jsonl")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    _write(folder, "train", _facts(1, 30))
    _write(folder, "test", _facts(2, 12))
    return folder


@pytest.fixture(scope="module")
def task() -> TaskSpec:
    return load_task("world").model_copy(update={"max_new_tokens": 4})


@pytest.fixture(scope="module")
def system() -> System:
    import torch

    return tiny_system(dtype=torch.float32)


@pytest.fixture(scope="module")
def done(
    system: System, task: TaskSpec, data_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("out")
    options = EvaluateOptions(blind=system, supervision=("Trained on <b>nothing</b> & never.",))
    return out, evaluate(system, task, data_dir, out, options)


def test_result_holds_what_the_issue_asks(done: tuple[Path, dict[str, Any]]) -> None:
    out, result = done
    assert json.loads((out / "result.json").read_text()) == result
    sources = {"shuffled", "majority", "majority_per_question", "colour", "probe", "blind"}
    assert set(result["baselines"]) == set(result["differences"]) == sources
    for report in (result, *result["baselines"].values()):
        assert {"n", "accuracy", "ci95"} <= set(report["overall"])
        for block in report["by_type"].values():
            low, high = block["ci95"]
            assert low <= block["score"] <= high
            assert 0 <= block["parse_failure_rate"] <= 1
    counted = [block["n"] for name, block in result["by_type"].items() if name in result["overall_types"]]
    assert result["overall"]["n"] == sum(counted)
    assert result["data_sha256"].keys() == {"train.jsonl", "test.jsonl"}


def test_symbolic_answers_from_plain_colours_are_nearly_perfect(done: tuple[Path, dict[str, Any]]) -> None:
    _, result = done
    for name in ("presence", "dominant", "comparison", "two_tile"):
        assert result["baselines"]["colour"]["by_type"][name]["accuracy"] >= 0.95
    assert (
        result["baselines"]["colour"]["overall"]["accuracy"]
        > result["baselines"]["majority"]["overall"]["accuracy"] + 0.2
    )


def test_a_random_system_fails_and_the_reasons_are_given(done: tuple[Path, dict[str, Any]]) -> None:
    _, result = done
    assert {"presence", "dominant"} <= {row["type"] for row in result["failing_types"]}
    assert all(row["reasons"] for row in result["failing_types"])


def test_rows_carry_prompt_raw_answer_and_picture_hash(done: tuple[Path, dict[str, Any]], data_dir: Path) -> None:
    out, _ = done
    rows, shuffled = (read_predictions(out / name) for name in ("predictions.jsonl", "baselines/shuffled.jsonl"))
    lines = (data_dir / "test.jsonl").read_text().strip().split("\n")
    assert len(rows) == len(shuffled) == len(lines)
    assert all(row.prompt and "<image>" not in row.prompt and row.reference for row in rows)
    own = {image: digest for row in rows for image, digest in zip(row.images, row.image_hashes, strict=True)}
    for row in shuffled:
        assert not set(row.image_hashes) & {own[image] for image in row.images}


def test_rescoring_needs_no_model_and_gives_the_same_bytes(
    done: tuple[Path, dict[str, Any]], task: TaskSpec, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, _ = done
    before = {name: (out / name).read_bytes() for name in ("result.json", "report.html", "predictions.jsonl")}
    monkeypatch.setattr(run_module, "load_for_evaluation", lambda _: pytest.fail("a model was loaded"))
    evaluate(None, task, data_dir, out, EvaluateOptions(is_rescore=True))
    assert {name: (out / name).read_bytes() for name in before} == before


def test_rescoring_notices_changed_predictions(
    done: tuple[Path, dict[str, Any]], task: TaskSpec, data_dir: Path, tmp_path: Path
) -> None:
    import shutil

    out = tmp_path / "copy"
    shutil.copytree(done[0], out)
    path = out / "predictions.jsonl"
    rows = [json.loads(line) for line in path.read_text().removesuffix("\n").split("\n")]
    path.write_text("".join(json.dumps(row | {"prediction": row["reference"]}) + "\n" for row in rows))
    result = evaluate(None, task, data_dir, out, EvaluateOptions(is_rescore=True))
    assert result["overall"]["accuracy"] == 1.0
    assert result["parse_failures"]["n"] == 0
    assert result["failing_types"] == [] or all(row["score"] == 1 for row in result["failing_types"])
    path.write_text("".join(json.dumps(row) + "\n" for row in rows[:-1]))
    with pytest.raises(TaskError, match="not answered"):
        evaluate(None, task, data_dir, out, EvaluateOptions(is_rescore=True))


def test_predictions_are_written_before_anything_is_scored(
    system: System, task: TaskSpec, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("scoring is broken")

    monkeypatch.setattr(run_module, "Scorer", broken)
    small = task.model_copy(update={"baselines": ("majority",)})
    with pytest.raises(RuntimeError, match="scoring is broken"):
        evaluate(system, small, data_dir, tmp_path, EvaluateOptions(limit=5))
    assert len(read_predictions(tmp_path / "predictions.jsonl")) == 5
    assert not (tmp_path / "result.json").exists()


def test_two_runs_give_the_same_answers(
    done: tuple[Path, dict[str, Any]], system: System, task: TaskSpec, data_dir: Path, tmp_path: Path
) -> None:
    small = task.model_copy(update={"baselines": ("shuffled",)})
    evaluate(system, small, data_dir, tmp_path, EvaluateOptions(has_report=False, batch_size=64))
    for name in ("predictions.jsonl", "baselines/shuffled.jsonl"):
        assert (tmp_path / name).read_bytes() == (done[0] / name).read_bytes()


def test_the_report_is_offline_and_escaped(done: tuple[Path, dict[str, Any]]) -> None:
    html = (done[0] / "report.html").read_text()
    assert not re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?\s*(?:https?:)?//""", html)
    assert set(re.findall(r'src="([a-z]+:)', html)) == {"data:"}
    assert html.count("<script") == 1  # the page's own filter, allowed by its hash
    assert "<b>nothing</b>" not in html
    assert "&lt;b&gt;nothing&lt;/b&gt; &amp; never." in html
    assert "Where it is right" in html  # the samples are georeferenced, so there is a map


def test_hostile_texts_are_escaped(system: System, tmp_path: Path) -> None:
    marker = "<img src=http://evil.test/x onerror=alert(1)>"
    (tmp_path / "images").mkdir()
    samples = []
    for number in range(3):
        Image.new("RGB", (8, 8), (number * 80, 0, 0)).save(tmp_path / f"images/{number}.png")
        turns = (Message("user", f"<image>\nname {marker}?"), Message("assistant", marker))
        samples.append(Sample(f"{number}{marker}", (f"images/{number}.png",), turns, "scene", "test"))
    write_samples(samples, tmp_path / "test.jsonl")
    scene = load_task("rsicd-scene").model_copy(update={"title": marker, "max_new_tokens": 2})
    evaluate(system, scene, tmp_path, tmp_path / "out")
    html = (tmp_path / "out" / "report.html").read_text()
    assert "<img src=http" not in html
    assert "&lt;img src=http://evil.test/x onerror=alert(1)&gt;" in html


def test_limit_keeps_the_choice_stable(system: System, task: TaskSpec, data_dir: Path, tmp_path: Path) -> None:
    small = task.model_copy(update={"baselines": ("majority",)})
    for limit in (3, 9):
        evaluate(system, small, data_dir, tmp_path / str(limit), EvaluateOptions(limit=limit, has_report=False))
    few, more = ({row.id for row in read_predictions(tmp_path / name / "predictions.jsonl")} for name in ("3", "9"))
    assert len(few) == 3
    assert few < more
    with pytest.raises(TaskError, match="at least 1"):
        evaluate(system, small, data_dir, tmp_path, EvaluateOptions(limit=-1))


def test_the_table_has_a_row_per_type(done: tuple[Path, dict[str, Any]]) -> None:
    _, result = done
    lines = score_table(result).split("\n")
    assert len(lines) == len(result["by_type"]) + 4
    assert "overall" in lines[-1]
    assert all(name in lines[0] for name in ("system", "shuffled", "colour", "probe"))


def test_tasks_are_valid_and_unknown_ones_list_close_names(tmp_path: Path) -> None:
    assert {"rsicd-caption", "rsicd-scene", "world"} <= set(list_tasks())
    for name in list_tasks():
        assert load_task(name).name == name
    with pytest.raises(PresetError, match="world"):
        load_task("wrld")
    path = tmp_path / "task.yaml"
    path.write_text("name: x\ntitel: y\n")
    with pytest.raises(ConfigError, match="Did you mean title"):
        load_task(str(path))


def test_data_without_the_task_is_refused(system: System, task: TaskSpec, data_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lacks test\.jsonl"):
        evaluate(system, task, tmp_path, tmp_path / "out")
    with pytest.raises(TaskError, match="no question of the types"):
        evaluate(system, load_task("rsicd-scene"), data_dir, tmp_path / "out")
    with pytest.raises(TaskError, match="No system is given"):
        evaluate(None, task, data_dir, tmp_path / "out")
    with pytest.raises(TaskError, match="nothing to score"):
        evaluate(None, task, data_dir, tmp_path / "out", EvaluateOptions(is_rescore=True))
