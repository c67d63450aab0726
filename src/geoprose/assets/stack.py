"""Build one GeoTIFF from single-band files of different resolutions."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import AssetError
from geoprose.core.gdal_doors import close_doors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from affine import Affine

    from geoprose.assets.specs import BandStack


def stack_bands(stack: BandStack, source_dir: Path, out_path: Path) -> None:
    """Write ``stack`` as a tiled, compressed GeoTIFF with overviews.

    The grid is that of the finest band, cropped to the ground that every band covers, so that no pixel is invented.
    Coarser bands are repeated by nearest neighbour, which keeps their values.

    Args:
        stack: Bands in order, their names and the nodata value.
        source_dir: Folder of the single-band files; each must be a GeoTIFF.
        out_path: GeoTIFF to write.

    Raises:
        AssetError: If the files differ in CRS or data type, are rotated, or do not overlap.
    """
    # Imported here so that `geoprose --help` and assets without imagery never start GDAL.
    close_doors()
    import rasterio
    from rasterio.enums import Resampling
    from rasterio.warp import reproject

    sources = [rasterio.open(source_dir / band.file, driver="GTiff") for band in stack.bands]
    try:
        transform, width, height = _common_grid(sources)
        profile = _profile(sources[0], stack, (transform, width, height))
        with rasterio.open(out_path, "w", **profile) as out:
            for index, (band, source) in enumerate(zip(stack.bands, sources, strict=True), start=1):
                reproject(
                    source=rasterio.band(source, 1),
                    destination=rasterio.band(out, index),
                    resampling=Resampling.nearest,
                    src_nodata=stack.nodata,
                    dst_nodata=stack.nodata,
                )
                out.set_band_description(index, band.name)
            factors = [factor for factor in (2, 4, 8, 16) if min(width, height) // factor >= 128]
            out.build_overviews(factors, Resampling.average)
    finally:
        for source in sources:
            source.close()


def _common_grid(sources: Sequence[Any]) -> tuple[Affine, int, int]:
    first = sources[0]
    for source in sources:
        same = source.crs == first.crs and source.dtypes[0] == first.dtypes[0]
        if not same or source.transform.b or source.transform.d:
            raise AssetError(
                f"{Path(source.name).name} has another CRS or data type than the first band, or is rotated."
            )
    fine = min(sources, key=lambda source: abs(source.transform.a)).transform
    left = max(source.bounds.left for source in sources)
    top = min(source.bounds.top for source in sources)
    right = min(source.bounds.right for source in sources)
    bottom = max(source.bounds.bottom for source in sources)
    # Rounded inwards to whole pixels of the finest grid; the small term absorbs floating-point noise.
    first_column, first_row = math.ceil((left - fine.c) / fine.a - 1e-6), math.ceil((top - fine.f) / fine.e - 1e-6)
    width = math.floor((right - fine.c) / fine.a + 1e-6) - first_column
    height = math.floor((bottom - fine.f) / fine.e + 1e-6) - first_row
    if width <= 0 or height <= 0:
        raise AssetError("The bands to stack do not cover any common ground.")
    origin = (fine.c + first_column * fine.a, fine.f + first_row * fine.e)
    return type(fine)(fine.a, 0.0, origin[0], 0.0, fine.e, origin[1]), width, height


def _profile(first: Any, stack: BandStack, grid: tuple[Affine, int, int]) -> dict[str, Any]:
    transform, width, height = grid
    return {
        "driver": "GTiff",
        "width": width,
        "height": height,
        "count": len(stack.bands),
        "dtype": first.dtypes[0],
        "crs": first.crs,
        "transform": transform,
        "nodata": stack.nodata,
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
        "compress": "deflate",
        "predictor": 2,
        "interleave": "band",
    }
