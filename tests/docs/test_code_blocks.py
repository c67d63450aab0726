"""Every Python block of the README and the docs runs, against a tiny system and a generated scene."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from geoprose.data.llava import write_llava
from tests.fixtures.datasets import clean_dataset, make_sample
from tests.fixtures.make_scene import make_scene

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    if BLOCK.search(path.read_text())
)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the blocks name: port.tif, a tiny system, a LLaVA file."""
    from geoprose.systems.build import build_system
    from geoprose.systems.save import save_system

    folder = tmp_path_factory.mktemp("workshop")
    make_scene(folder / "port.tif", width=256, height=256, bands=3, crs="EPSG:32631", dtype="uint8")
    save_system(build_system("demo", scale="tiny"), folder / "runs" / "demo" / "train" / "system")
    clean_dataset(folder / "harbours")
    write_llava([make_sample(0)], folder / "harbours" / "train.json")
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_blocks_of_the_page_run(page: str, workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workshop)
    monkeypatch.setattr("sys.path", [*sys.path])  # a block may add its folder
    namespace: dict[str, object] = {}
    for block in BLOCK.findall((ROOT / page).read_text()):
        exec(compile(block, page, "exec"), namespace)


def test_the_readme_is_among_the_pages() -> None:
    assert "README.md" in PAGES
