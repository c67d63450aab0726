from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import DataError
from geoprose.data.readers import webdataset
from geoprose.data.readers.webdataset import Rs5mReader
from tests.fixtures import layouts

if TYPE_CHECKING:
    from pathlib import Path


def test_samples_are_unpacked_once(tmp_path: Path) -> None:
    root = layouts.rs5m(tmp_path)
    samples = list(Rs5mReader().read(root, "train"))
    assert [(s.id, s.meta["answers"]) for s in samples] == [
        ("pub11-train-0000-000000", ["caption 0"]),
        ("pub11-train-0000-000001", ["caption 1"]),
    ]
    path = root / samples[0].images[0]
    assert path.read_bytes() == layouts.png_bytes()
    before = path.stat().st_mtime_ns
    assert list(Rs5mReader().read(root, "train")) == samples
    assert path.stat().st_mtime_ns == before
    assert len(list(Rs5mReader(max_samples=1).read(root, "train"))) == 1


def test_a_member_that_climbs_out_is_refused(tmp_path: Path) -> None:
    root = layouts.rs5m(tmp_path / "data", [("../../evil.img_content", layouts.png_bytes())])
    with pytest.raises(DataError, match="keys are letters"):
        list(Rs5mReader().read(root, "train"))
    assert not (tmp_path / "evil.png").exists()


def test_links_are_never_followed(tmp_path: Path) -> None:
    root = layouts.rs5m(tmp_path, [])
    with tarfile.open(root / "pub11-train-0000.tar", "w") as archive:
        link = tarfile.TarInfo("000000.img_content")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
        text = tarfile.TarInfo("000000.caption")
        text.size = 1
        archive.addfile(text, io.BytesIO(b"x"))
    with pytest.raises(DataError, match="lacks img_content, img_name"):
        list(Rs5mReader().read(root, "train"))


def test_sizes_are_checked_before_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = layouts.rs5m(tmp_path)
    monkeypatch.setattr(webdataset, "MAX_PICTURE_BYTES", 10)
    with pytest.raises(DataError, match="more than 10, so it is not read"):
        list(Rs5mReader().read(root, "train"))


@pytest.mark.parametrize(
    ("content", "caption", "message"),
    [(b"not a picture", b"x", "not a JPEG"), (None, b"  ", "empty caption"), (None, b"\xff", "not UTF-8")],
)
def test_broken_samples_are_named(tmp_path: Path, content: bytes | None, caption: bytes, message: str) -> None:
    members = [("7.caption", caption), ("7.img_content", content or layouts.png_bytes()), ("7.img_name", b"n")]
    with pytest.raises(DataError, match=message):
        list(Rs5mReader().read(layouts.rs5m(tmp_path, members), "train"))


def test_a_shard_cut_short_is_named(tmp_path: Path) -> None:
    root = layouts.rs5m(tmp_path)
    shard = root / "pub11-train-0000.tar"
    shard.write_bytes(shard.read_bytes()[:700])
    with pytest.raises(DataError, match="not a whole tar file"):
        list(Rs5mReader().read(root, "train"))


def test_missing_shards_say_where_they_are(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"om-ai-lab/RS5M"):
        list(Rs5mReader().read(tmp_path, "train"))
