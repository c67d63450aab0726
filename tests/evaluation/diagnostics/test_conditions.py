"""Diagnostics of changed pictures, asked of a system that is known to look."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch

from geoprose.core.errors import ConfigError, TaskError
from geoprose.evaluation.diagnostics.base import Request
from geoprose.evaluation.diagnostics.gsd import SMALL, TOLD, UNTOLD
from geoprose.evaluation.diagnostics.reliance import IGNORES, LOOKS
from geoprose.evaluation.diagnostics.run import build_diagnostic, diagnose, list_diagnostics
from geoprose.evaluation.predictions import read_predictions
from tests.fixtures.oracle import QUESTIONS, oracle_task, use_oracle, write_oracle_data
from tests.fixtures.systems import tiny_system

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.evaluation.tasks import TaskSpec
    from geoprose.systems.build import System


@pytest.fixture(scope="module")
def system() -> System:
    return tiny_system(dtype=torch.float32)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_oracle_data(tmp_path_factory.mktemp("oracle") / "data")


def _run(
    name: str, request_for: tuple[System, Path, Path], task: TaskSpec | None = None, **options: Any
) -> dict[str, Any]:
    system, data_dir, out = request_for
    request = Request(out, system, task or oracle_task(), data_dir)
    return diagnose(name, build_diagnostic(name, options), request)


def _only(kind: str) -> TaskSpec:
    return oracle_task(types={kind: oracle_task().types[kind]})


def test_gsd_finds_where_stripes_are_lost(
    system: System, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = use_oracle(monkeypatch)
    result = _run("gsd", (system, data_dir, tmp_path), _only("texture"), factors=[1, 2, 4], gsd_m=0.5)
    tables = result["by_type"]["gsd"]["tables"]
    assert tables["curve"]["series"][UNTOLD] == [1, 0.5, 0.5]
    assert tables["curve"]["series"]["blind level"] == [0.5] * 3
    # Relative scores 1, 0.5, 0.5 over two octaves: (0.75 + 0.5) / 2; above the blind level 1, 0, 0: 0.5 / 2.
    assert result["overall"]["score"] == pytest.approx(0.625)
    assert tables["areas"][UNTOLD]["area_above_blind"] == pytest.approx(0.25)
    low, high = result["overall"]["ci95"]
    assert low < 0.625 < high
    assert set(tables["areas"]) == {UNTOLD, TOLD, SMALL}
    assert tables["conditions"][f"{UNTOLD}, x 2"]["difference"] == -0.5
    assert tables["conditions"][f"{UNTOLD}, x 2"]["n"] == 16
    told = f"The ground sampling distance of the image is 2 metres per pixel. {QUESTIONS['texture']}"
    assert told in asked
    assert QUESTIONS["texture"] in asked


def test_small_pictures_are_small_and_their_boxes_too(
    system: System, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    use_oracle(monkeypatch)
    result = _run("gsd", (system, data_dir, tmp_path), factors=[1, 2])
    line = json.loads((tmp_path / "derived" / "gsd-small-2.jsonl").read_text().splitlines()[0])
    assert line["meta"]["size_px"] == [16, 16]
    assert line["meta"]["boxes"] == [[1, 1, 6, 6]]
    with Image.open(tmp_path / "derived" / line["images"][0]) as picture:
        assert picture.size == (16, 16)
    assert "no meta.gsd_m" in result["by_type"]["gsd"]["unavailable"][TOLD]


def test_turned_pictures_keep_the_score_only_with_turned_words(
    system: System, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_oracle(monkeypatch)
    names = ["rotate-90", "rotate-180", "rotate-270", "flip-left-right", "flip-top-bottom"]
    result = _run("corruption", (system, data_dir, tmp_path / "a"), _only("place"), names=names)
    own = result["by_type"]["corruption"]
    assert {name: row["retention"] for name, row in own["tables"]["retention"].items()} == dict.fromkeys(names, 1.0)
    assert own["unavailable"] == {"retention": "no damage was asked for"}
    rows = read_predictions(tmp_path / "a" / "conditions" / "rotate-90" / "predictions.jsonl")
    assert {row.id: row.reference for row in rows}["0-place"] == "bottom left"

    def blind_to_turns(sample: Any, turn: Any, codec: str) -> Any:
        return sample

    monkeypatch.setattr("geoprose.evaluation.diagnostics.corruption.turned", blind_to_turns)
    wrong = _run("corruption", (system, data_dir, tmp_path / "b"), _only("place"), names=["rotate-180"])
    assert wrong["by_type"]["corruption"]["tables"]["retention"]["rotate-180"]["retention"] == 0


def test_damage_lowers_the_score_and_turns_that_fail_are_counted(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_oracle(monkeypatch)
    data = write_oracle_data(tmp_path / "data", 8, phrase="two rows of cars")
    result = _run("corruption", (system, data, tmp_path / "out"), names=["blur", "rotate-90"], severities=[1, 5])
    own = result["by_type"]["corruption"]
    curve = own["tables"]["curve"]["series"]
    assert curve["unchanged"] == [1, 1]
    assert curve["blur"][1] < 1
    kept = own["tables"]["retention"]["blur"]
    assert kept["retention"] == pytest.approx(sum(curve["blur"]) / 2) == pytest.approx(result["overall"]["score"])
    assert own["unavailable"]["rotate-90"] == "no question could be turned with its picture"
    left_out = own["tables"]["questions_that_could_not_be_turned"]["rotate-90"]
    assert (left_out["turned"], left_out["left_out"]) == (0, 24)
    assert "rows" in left_out["examples"]


def test_reliance_tells_looking_from_guessing(
    system: System, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_oracle(monkeypatch)
    result = _run("reliance", (system, data_dir, tmp_path))
    rows = result["by_type"]["reliance"]["tables"]["by_type"]
    assert rows["place, swapped"]["verdict"] == rows["place, blank"]["verdict"] == LOOKS
    assert rows["place, blank"]["changed_answers"] == rows["place, blank"]["drop"] == 1
    assert rows["colour, swapped"]["verdict"] == IGNORES
    assert rows["colour, swapped"]["drop"] == rows["colour, swapped"]["changed_answers"] == 0
    assert rows["texture, blank"]["drop"] == 0.5
    tests = result["by_type"]["reliance"]["tables"]["tests"]
    assert tests["swapped"]["n"] == 48
    assert tests["swapped"]["p"] <= tests["swapped"]["p_holm"] < 0.05
    assert result["overall"]["score"] == tests["swapped"]["drop"]
    low, high = result["overall"]["ci95"]
    assert 0 < low < result["overall"]["score"] < high
    assert result["verdict"] == LOOKS


def test_a_diagnostic_leaves_a_report_and_goes_on_where_it_stopped(
    system: System, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = use_oracle(monkeypatch)
    first = _run("reliance", (system, data_dir, tmp_path), tests=["blank"])
    page = (tmp_path / "report.html").read_text()
    assert "Visual reliance" in page
    assert "score lost" in page or "lost when pictures are blank" in page
    assert json.loads((tmp_path / "result.json").read_text()) == first
    count = len(asked)
    assert count == 2 * 48
    assert _run("reliance", (system, data_dir, tmp_path), tests=["blank"]) == first
    assert len(asked) == count


def test_other_noise_in_the_same_folder_is_refused(
    system: System, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_oracle(monkeypatch)
    options = {"names": ["gaussian-noise"], "severities": [1]}
    _run("corruption", (system, data_dir, tmp_path), **options)
    with pytest.raises(TaskError, match="holds a run that differs"):
        _run("corruption", (system, data_dir, tmp_path), **options, seed=1)


def test_options_and_names_are_checked() -> None:
    assert len(list_diagnostics()) == 9
    with pytest.raises(ConfigError, match="Did you mean 'gsd'"):
        build_diagnostic("gsdd", {})
    with pytest.raises(ConfigError, match="the first 1"):
        build_diagnostic("gsd", {"factors": [2, 4]})
    with pytest.raises(ConfigError, match="Did you mean 'clouds'"):
        build_diagnostic("corruption", {"names": ["cloud"]})
    with pytest.raises(ConfigError, match="unknown key"):
        build_diagnostic("gsd", {}, ["factor=2"])
    assert build_diagnostic("gsd", {}, ["factors=[1, 3]"]).model_dump()["factors"] == (1, 3)


def test_missing_parts_are_named(tmp_path: Path, system: System) -> None:
    with pytest.raises(ConfigError, match="--task NAME and --data DIR"):
        diagnose("gsd", build_diagnostic("gsd", {}), Request(tmp_path, system))
    with pytest.raises(ConfigError, match="examines a system"):
        diagnose("gsd", build_diagnostic("gsd", {}), Request(tmp_path, None, oracle_task(), tmp_path))
