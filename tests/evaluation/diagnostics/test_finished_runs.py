"""Diagnostics that stand on runs: domains, object sizes, raters. Answers are known, so are the figures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
import yaml

from geoprose.core.errors import ConfigError, TaskError
from geoprose.core.types import Message, Sample
from geoprose.data.neutral import write_samples
from geoprose.evaluation.diagnostics.base import Request
from geoprose.evaluation.diagnostics.run import build_diagnostic, diagnose
from geoprose.evaluation.run import EvaluateOptions, evaluate
from geoprose.evaluation.tasks import QuestionType
from geoprose.systems.save import save_system
from tests.fixtures.oracle import look, oracle_task, use_oracle, write_oracle_data
from tests.fixtures.systems import picture, tiny_system

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.systems.build import System


@pytest.fixture(scope="module")
def system() -> System:
    return tiny_system(dtype=torch.float32)


def _task_file(folder: Path, kind: str) -> str:
    task = oracle_task(name=f"only-{kind}", types={kind: oracle_task().types[kind]})
    path = folder / f"{task.name}.yaml"
    path.write_text(yaml.safe_dump(task.model_dump(mode="json", exclude_defaults=True)))
    return str(path)


def test_matrix_of_domains(system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_oracle_data(tmp_path / "data", 8)
    folders = {name: str(save_system(system, tmp_path / name)) for name in ("places", "textures")}
    domains = {
        "places": {"task": _task_file(tmp_path, "place"), "data": str(data)},
        "textures": {"task": _task_file(tmp_path, "texture"), "data": str(data)},
    }
    trained_on: list[str] = []

    def specialist(path: Path, question: str) -> str:
        is_own = ("Where" in question) == (trained_on[-1] == "places")
        return look(path, question) if is_own else "no"

    use_oracle(monkeypatch, specialist)
    from geoprose.evaluation import run_record

    load = run_record.load_for_evaluation
    monkeypatch.setattr(
        run_record, "load_for_evaluation", lambda given: (trained_on.append(_name(given)), load(given))[1]
    )
    options = {"systems": folders, "domains": domains}
    result = diagnose("cross-domain", build_diagnostic("cross-domain", options), Request(tmp_path / "out"))
    own = result["by_type"]["cross-domain"]
    assert own["tables"]["matrix"] == {
        "trained on places": {"places": "1.000 (own domain)", "textures": "0.500"},
        "trained on textures": {"places": "0.000", "textures": "1.000 (own domain)"},
    }
    drops = {(row["train"], row["test"]): row.get("relative_drop") for row in own["tables"]["cells"]}
    assert drops == {
        ("places", "places"): None,
        ("places", "textures"): 0.5,
        ("textures", "places"): 1.0,
        ("textures", "textures"): None,
    }
    assert result["overall"]["score"] == 0.75
    low, high = result["overall"]["ci95"]
    assert low <= 0.75 <= high
    runs = {"textures": {test: str(tmp_path / "out" / "textures" / test) for test in domains}}
    again = diagnose("cross-domain", build_diagnostic("cross-domain", {"runs": runs}), Request(tmp_path / "again"))
    assert (
        again["by_type"]["cross-domain"]["tables"]["matrix"]["trained on textures"]["textures"] == "1.000 (own domain)"
    )
    assert "score" not in again["overall"]
    assert "no column has both" in again["by_type"]["cross-domain"]["unavailable"]["relative drop"]


def _name(given: Any) -> str:
    return str(given).rsplit("/", 1)[-1]


def test_a_matrix_needs_systems_and_domains_and_names_empty_cells(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="A matrix needs"):
        diagnose("cross-domain", build_diagnostic("cross-domain", {}), Request(tmp_path))
    runs = {"a": {"b": str(tmp_path / "none")}}
    with pytest.raises(TaskError, match="No cell of the matrix could be filled"):
        diagnose("cross-domain", build_diagnostic("cross-domain", {"runs": runs}), Request(tmp_path))


def _pope_data(folder: Path) -> Path:
    """Eight pictures with a small ship and a large harbour; questions about both, and about a plane and a stadium."""
    (folder / "images").mkdir(parents=True)
    samples = []
    for number in range(8):
        path = f"images/{number}.png"
        picture(number).save(folder / path)
        asked = {"ship": ("yes", "small"), "harbour": ("yes", "large"), "plane": ("no", None)}
        if number == 0:
            asked = {"plane": ("yes", "small")}
        for name, (answer, size) in asked.items():
            turns = (Message("user", f"<image>\nIs there a {name} in the image?"), Message("assistant", answer))
            meta = {"phrase": name, "negatives": "random", "objects": ["ship", "harbour"]}
            meta |= {"size_group": size} if size else {}
            samples.append(Sample(f"{number}-{name}", (path,), turns, "pope", "test", meta=meta))
    write_samples(samples, folder / "test.jsonl")
    return folder


def test_pope_by_size(system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # It never sees small things that are there, and affirms every plane.
    use_oracle(monkeypatch, lambda path, question: "no" if "ship" in question else "yes")
    task = oracle_task(name="pope-test", types={"pope": QuestionType(protocol="pope")})
    request = Request(tmp_path / "out", system, task, _pope_data(tmp_path / "data"))
    result = diagnose("hallucination-by-size", build_diagnostic("hallucination-by-size", {}), request)
    tables = result["by_type"]["hallucination-by-size"]["tables"]
    assert {size: (row["n"], row["share"]) for size, row in tables["there"].items()} == {
        "small": (8, 7 / 8),
        "large": (7, 0.0),
    }
    assert {size: (row["n"], row["share"]) for size, row in tables["absent"].items()} == {"small": (7, 1.0)}
    assert result["overall"]["score"] == 1
    assert result["overall"]["n"] == 7


def test_chair_by_size(system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    samples = []
    for number in range(6):
        picture(number).save(folder / f"images/{number}.png")
        boxes, labels = [[0, 0, 10, 10], [0, 0, 200, 200]], ["ship", "harbor"]
        if number == 5:
            boxes, labels = [[0, 0, 10, 10]], ["airplane"]
        turns = (Message("user", "<image>\nDescribe the image."), Message("assistant", "A picture."))
        meta = {"objects": labels, "boxes": boxes, "box_labels": labels, "size_px": [40, 40]}
        samples.append(Sample(str(number), (f"images/{number}.png",), turns, "chair", "test", meta=meta))
    write_samples(samples, folder / "test.jsonl")
    use_oracle(monkeypatch, lambda path, question: "A harbor with an airplane.")
    task = oracle_task(name="chair-test", types={"chair": QuestionType(protocol="chair")})
    request = Request(tmp_path / "out", system, task, folder)
    result = diagnose("hallucination-by-size", build_diagnostic("hallucination-by-size", {}), request)
    tables = result["by_type"]["hallucination-by-size"]["tables"]
    there = {size: (row["n"], row["share"]) for size, row in tables["there"].items()}
    assert there == {"small": (6, pytest.approx(5 / 6)), "large": (5, 0.0)}
    absent = {size: (row["n"], row["share"]) for size, row in tables["absent"].items()}
    assert absent == {"small": (6, pytest.approx(5 / 6)), "large": (6, pytest.approx(1 / 6))}
    with pytest.raises(TaskError, match="scored by pope or chair"):
        diagnose(
            "hallucination-by-size",
            build_diagnostic("hallucination-by-size", {}),
            Request(tmp_path / "other", system, oracle_task(), write_oracle_data(tmp_path / "oracle", 4)),
        )


def test_raters_rank_metrics(system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_oracle_data(tmp_path / "data", 12)
    task = oracle_task(name="vqa-test", types={"place": QuestionType(protocol="vqa")})
    # Half of the answers are right; a third is empty, which the flagged variants count as right.
    use_oracle(monkeypatch, lambda path, question: "" if int(path.stem) % 3 == 0 else look(path, question))
    run = tmp_path / "run"
    evaluate(system, task, data, run, EvaluateOptions(has_report=False))
    lines = ["id,rater,rating", "gone,ann,3"]
    for number in range(12):
        good = 1 if number % 3 == 0 else 4 + number % 2
        lines += [f"{number}-place,ann,{good}", f"{number}-place,bob,{good if number else ''}"]
    (tmp_path / "ratings.csv").write_text("\n".join(lines) + "\n")
    options = {"ratings": str(tmp_path / "ratings.csv"), "run_dir": str(run), "num_resamples": 50}
    request = Request(tmp_path / "out", None, task, data)
    result = diagnose("human", build_diagnostic("human", options), request)
    tables = result["by_type"]["human"]["tables"]
    exact = tables["metrics"]["exact"]
    assert exact["n"] == 12
    # 12 answers, 4 wrong and rated 1, 8 right and rated 4 or 5 (four each): 32 concordant pairs of
    # sqrt((66 - 34) * (66 - 18)).
    assert exact["kendall_tau_b"] == pytest.approx(32 / (32 * 48) ** 0.5)
    assert exact["tau_low"] <= exact["kendall_tau_b"] <= exact["tau_high"]
    order = [row["kendall_tau_b"] for row in tables["metrics"].values()]
    assert order == sorted(order, reverse=True)
    flagged = {name for name, row in tables["metrics"].items() if row["is_flagged"]}
    assert flagged
    assert result["best_metric"] not in flagged
    raters = tables["raters"]
    assert raters["krippendorff_alpha"] == 1
    assert raters["ratings_left_empty"] == 1
    assert raters["rated_ids_that_are_no_answers"] == 1
    assert raters["answers_with_two_raters"] == 11
    assert "gone" in result["warnings"][0]
    assert json.loads((tmp_path / "out" / "result.json").read_text()) == result


def test_ratings_of_another_run_are_refused(system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_oracle_data(tmp_path / "data", 4)
    use_oracle(monkeypatch)
    evaluate(system, oracle_task(), data, tmp_path / "run", EvaluateOptions(has_report=False))
    (tmp_path / "ratings.csv").write_text("id,rater,rating\nother,ann,3\n")
    options = {"ratings": str(tmp_path / "ratings.csv"), "run_dir": str(tmp_path / "run")}
    with pytest.raises(TaskError, match="0 rated ids are answers"):
        diagnose("human", build_diagnostic("human", options), Request(tmp_path / "out", None, oracle_task(), data))
    with pytest.raises(ConfigError, match=r"--ratings FILE\.csv --run DIR"):
        diagnose("human", build_diagnostic("human", {}), Request(tmp_path / "out", None, oracle_task(), data))
