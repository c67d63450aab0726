from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING

import pytest

from geoprose.core.files import sha256_file, write_bytes, write_json, write_jsonl

if TYPE_CHECKING:
    from pathlib import Path


def test_write_is_readable_by_others_and_leaves_no_temporary(tmp_path: Path) -> None:
    write_bytes(tmp_path / "deep" / "file.bin", b"abc")
    assert (tmp_path / "deep" / "file.bin").read_bytes() == b"abc"
    assert (tmp_path / "deep" / "file.bin").stat().st_mode & 0o777 == 0o644
    assert os.listdir(tmp_path / "deep") == ["file.bin"]


def test_failed_write_keeps_the_old_file_and_cleans_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"a": 1})

    def refuse(source: str, target: str) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("geoprose.core.files.os.replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}
    assert os.listdir(tmp_path) == ["file.json"]


def test_nan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert not (tmp_path / "x.json").exists()


def test_jsonl_and_hash(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, [{"a": 1}, {"b": "e\u0301"}])
    assert [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] == [{"a": 1}, {"b": "e\u0301"}]
    assert sha256_file(path) == hashlib.sha256(path.read_bytes()).hexdigest()
