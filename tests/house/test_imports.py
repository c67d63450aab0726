"""What importing costs: no torch and no GDAL for the package, nothing heavy for `--help`."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = ("torch", "transformers", "numpy", "rasterio", "pydantic", "shapely", "PIL", "matplotlib", "yaml")


def _modules_after(code: str) -> set[str]:
    program = f"import sys, json\n{code}\nprint(json.dumps(sorted(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(result.stdout.splitlines()[-1]))


def test_import_geoprose_is_light() -> None:
    loaded = _modules_after("import geoprose\nassert geoprose.__version__")
    assert loaded.isdisjoint(HEAVY)


def test_help_imports_nothing_heavy() -> None:
    loaded = _modules_after(
        "import geoprose.cli.main as m\n"
        "from typer.testing import CliRunner\n"
        "r = CliRunner().invoke(m.app, ['--help'])\n"
        "assert r.exit_code == 0, r.output"
    )
    assert loaded.isdisjoint(HEAVY)


def test_the_core_rooms_work_without_torch() -> None:
    code = (
        "import sys\n"
        "sys.modules['torch'] = None; sys.modules['transformers'] = None\n"
        "import importlib, pkgutil, geoprose\n"
        "for room in ('core', 'geo', 'layout', 'assets', 'scenes', 'answers'):\n"
        "    package = importlib.import_module(f'geoprose.{room}')\n"
        "    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        importlib.import_module(module.name)\n"
        "del sys.modules['torch'], sys.modules['transformers']\n"
    )
    assert "torch" not in _modules_after(code)


def test_public_names_are_sorted_and_real() -> None:
    import geoprose

    assert list(geoprose.__all__) == sorted(geoprose.__all__)
    for name in geoprose.__all__:
        assert getattr(geoprose, name) is not None


def test_unknown_public_name_lists_what_exists() -> None:
    import pytest

    import geoprose

    with pytest.raises(AttributeError, match="it offers"):
        _ = geoprose.opne


def test_gdal_never_starts_before_its_doors_are_closed() -> None:
    import re
    from pathlib import Path

    source = Path(__file__).resolve().parents[2] / "src" / "geoprose"
    first_import = re.compile(r"^\s*(import rasterio|from rasterio[. ])", flags=re.MULTILINE)
    offenders = []
    for path in source.rglob("*.py"):
        text = re.sub(r"if TYPE_CHECKING:\n(?:    .*\n|\n)+", "", path.read_text())
        found = first_import.search(text)
        before = text[: found.start()] if found else ""
        if found and "close_doors()" not in before and "safe_gdal import" not in before:
            offenders.append(str(path.relative_to(source)))
    assert offenders == []
