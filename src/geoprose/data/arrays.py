"""Arrays that records name beside their pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geoprose.core.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path


def read_array(path: Path, advice: str = "Save it with numpy.save.") -> np.ndarray:
    """Return the array of a ``.npy`` file; files that would run code are refused.

    Args:
        path: The file.
        advice: What the message about a file that is no array tells to do.

    Raises:
        DataError: If the file is missing or no array.
    """
    try:
        array: np.ndarray = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist. Is the data directory complete?") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is no array: {error}. {advice}") from error
    return array
