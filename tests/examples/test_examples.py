"""Every example runs, in order: later ones take what earlier ones wrote."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from tests.fixtures.make_scene import make_scene

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("[0-9]*.py"))
MAX_LINES = 60


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a scene and a saved tiny system."""
    from geoprose.systems.build import build_system
    from geoprose.systems.save import save_system

    folder = tmp_path_factory.mktemp("examples")
    make_scene(folder / "port.tif", width=256, height=256, bands=3, crs="EPSG:32631", dtype="uint8")
    save_system(build_system("demo", scale="tiny"), folder / "system")
    return folder


@pytest.fixture
def run(workshop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """A function that runs an example in the workshop and returns what it printed."""

    def run_example(name: str, *arguments: str) -> str:
        monkeypatch.chdir(workshop)
        monkeypatch.setattr("sys.argv", [name, *arguments])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run_example


def test_ask_a_geotiff_writes_geojson(run, workshop: Path) -> None:
    printed = run("01_ask_a_geotiff.py", "port.tif", "system", "Any water?")
    assert "EPSG:32631" in printed
    assert json.loads((workshop / "port.geojson").read_text())["type"] == "FeatureCollection"


def test_read_a_scene_writes_a_picture(run, workshop: Path) -> None:
    printed = run("02_read_a_scene.py", "port.tif")
    assert "read (3, 128, 128), 100 % valid, GSD (10.0, 10.0) m" in printed
    assert (workshop / "port.png").is_file()


def test_convert_boxes_names_every_format(run) -> None:
    printed = run("03_convert_boxes.py", "<p>two ships</p> {<10><20><30><40>|<30>}", "geochat")
    assert "status ok; problems []" in printed
    assert "two ships: 80 120 240 240 px" in printed
    assert "bbox_2d" in printed
    assert '"Polygon"' in printed


def test_build_train_and_evaluate(run, workshop: Path) -> None:
    assert "16 records {'train': 8, 'test': 8}, 16 images, clean: True" in run(
        "04_build_and_check_data.py", "port.tif", "data/port"
    )
    assert "system: runs/tiny/system" in run("05_train_a_tiny_system.py", "data/port", "runs/tiny")
    assert "8 questions" in run("06_evaluate.py", "runs/tiny/system", "data/port", "runs/tiny-eval")
    assert (workshop / "runs/tiny-eval/report.html").is_file()


def test_score_and_compare_names_faulty_rules_and_the_difference(run, workshop: Path) -> None:
    for name, answers in (("theirs", ("Rural", "", "2")), ("ours", ("rural", "yes", "2"))):
        lines = [
            {"doc_id": number, "target": target, "filtered_resps": answer, "doc_hash": "0", "input": "?"}
            for number, (target, answer) in enumerate(zip(("rural", "yes", "3"), answers, strict=True))
        ]
        (workshop / f"{name}_samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    printed = run("07_score_and_compare.py", "theirs_samples.jsonl", "ours_samples.jsonl", "runs/scored")
    assert "theirs_samples.jsonl: 3 answers, accuracy 0.33" in printed
    assert "FAULTY: " in printed
    assert "difference +0.33 over 3 shared questions" in printed
    assert (workshop / "runs/scored/comparison/flips.jsonl").is_file()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_examples_are_short_and_run_here(script: Path) -> None:
    assert len(script.read_text().splitlines()) <= MAX_LINES
    assert f'"{script.name}"' in Path(__file__).read_text()
