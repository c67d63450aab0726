"""The one place that imports rasterio, after GDAL has been told what it must never do.

Other modules write ``from geoprose.scenes.safe_gdal import rasterio``. Three guards, each enough for most attacks:

1. ``GDAL_SKIP`` in the process environment, before GDAL registers its drivers: formats that are recipes for reading
   other files or addresses (VRT, WMS, HTTP, ...) do not exist. ``rasterio.Env(GDAL_SKIP=...)`` comes too late for that.
   When the program used rasterio before geoprose, the drivers are registered already and this guard does not apply.
   The variable stays set: rasterio in the same process, and processes started from it, cannot open VRT files either.
2. `open_dataset` names the one driver chosen from the file's first bytes, so GDAL never guesses. This holds always.
3. Options set around every open and read (`gdal_options`): no look at neighbouring files, no network, no fill-in for
   broken JPEG data, a small block cache.

What is lost by not looking at neighbours: external overviews (``.ovr``), external masks (``.msk``), statistics, nodata
or georeference kept in ``.aux.xml``, ``.tfw`` or ``.tab``. Overviews, masks and georeference inside the file work. To
bring external ones in, convert once with ``gdal_translate -of COG``.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from geoprose.core.gdal_doors import CACHE_MB, SKIPPED_DRIVERS, close_doors

close_doors()

import rasterio  # noqa: E402 - the environment must be set before GDAL starts
from rasterio._err import CPLE_BaseError  # noqa: E402
from rasterio.errors import NotGeoreferencedWarning, RasterioError  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GDAL_ERRORS = (RasterioError, CPLE_BaseError, OSError, MemoryError)
"""Everything that an open or a read may raise for a damaged file."""

__all__ = ["CACHE_MB", "GDAL_ERRORS", "SKIPPED_DRIVERS", "gdal_options", "open_dataset", "rasterio"]

_OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # neighbours do not exist
    "GDAL_PAM_ENABLED": "NO",  # no .aux.xml, read or written
    "GDAL_GEOREF_SOURCES": "INTERNAL",  # no world files
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none",  # /vsicurl/ opens nothing
    "GDAL_HTTP_MAX_RETRY": "0",
    "CPL_ALLOW_VSISTDIN": "NO",
    "GDAL_ERROR_ON_LIBJPEG_WARNING": "TRUE",  # a truncated JPEG is an error, not a grey area
    "GDAL_PNG_WHOLE_IMAGE_OPTIM": "NO",  # that shortcut returns unwritten memory where a PNG's data end early
    "GTIFF_IGNORE_READ_ERRORS": "NO",
    "GDAL_NUM_THREADS": "1",
}


@contextmanager
def gdal_options() -> Iterator[None]:
    """Hold the safe options for the calls inside; every open and every read runs in it.

    Drivers look for neighbours lazily (masks and overviews at the first read), so opening safely is not enough.
    """
    with rasterio.Env(GDAL_CACHEMAX=CACHE_MB, **_OPTIONS):
        yield


def open_dataset(path: Path, driver: str, overview_level: int | None = None) -> Any:
    """Open one local file with one named driver; call inside `gdal_options`.

    Args:
        path: An absolute path that `geoprose.scenes.sniff.checked_path` has accepted.
        driver: GDAL's name of the driver.
        overview_level: Open this internal overview (0 is the finest) instead of the full picture.
    """
    options: dict[str, Any] = {} if overview_level is None else {"OVERVIEW_LEVEL": overview_level}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # a scene without georeference is a normal scene
        return rasterio.open(path, driver=driver, sharing=False, **options)
