"""What GDAL must be told before it starts. Importing rasterio starts it, so whoever imports it calls this first."""

from __future__ import annotations

import os

SKIPPED_DRIVERS = (
    "VRT DERIVED GTI WMS WCS WMTS WFS OAPIF CSW HTTP PLMOSAIC PLSCENES EEDA EEDAI DAAS STACTA STACIT OGCAPI NGW "
    "Carto AmigoCloud Elastic GMLAS KMLSUPEROVERLAY MRF HDF4 HDF4Image"
)
"""Formats that name other files or addresses to read, and HDF4, whose decoder has known holes (CVE-2026-8086)."""

CACHE_MB = 64
"""GDAL's block cache; the default, 5 % of the memory, makes the peak memory of a large read grow with the machine."""


def close_doors() -> None:
    """Set what GDAL reads only once, when it starts; a value the user has set is kept and added to."""
    kept = os.environ.get("GDAL_SKIP", "").replace(",", " ").split()
    wanted = [name for name in SKIPPED_DRIVERS.split() if name not in kept]
    os.environ["GDAL_SKIP"] = " ".join([*kept, *wanted])
    os.environ.setdefault("GDAL_CACHEMAX", str(CACHE_MB))
