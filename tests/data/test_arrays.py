"""Arrays beside pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from geoprose.core.errors import DataError
from geoprose.data.arrays import read_array

if TYPE_CHECKING:
    from pathlib import Path


def test_an_array_is_read_as_it_was_saved(tmp_path: Path) -> None:
    values = np.arange(6, dtype=np.float64).reshape(2, 3)
    np.save(tmp_path / "a.npy", values)
    found = read_array(tmp_path / "a.npy")
    assert found.dtype == np.float64
    assert np.array_equal(found, values)


def test_what_is_no_plain_array_is_named_with_the_advice(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.npy does not exist"):
        read_array(tmp_path / "none.npy")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"objects\.npy is no array.*Save numbers\."):
        read_array(tmp_path / "objects.npy", "Save numbers.")
