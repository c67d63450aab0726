from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import geoprose

if TYPE_CHECKING:
    from pathlib import Path


def test_the_version_is_the_one_of_the_package(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    assert geoprose.__version__ == project["version"]
