"""Open a scene safely and lazily; nothing is decoded until `SceneFile.read`."""

# ruff: noqa: N803, N806 - arrays carry their shape as a suffix

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from geoprose.core.errors import GeoreferenceError, SceneError
from geoprose.core.types import GeoRef
from geoprose.geo.crs import LONLAT
from geoprose.geo.gsd import gsd_m
from geoprose.geo.pixels import window_georef
from geoprose.scenes.bands import BandRequest, band_names, select_bands
from geoprose.scenes.decode import Layer, Request, Resampling, decode
from geoprose.scenes.limits import ReadLimits, check_size, refuse_above
from geoprose.scenes.pictures import check_picture
from geoprose.scenes.safe_gdal import GDAL_ERRORS, gdal_options, open_dataset, rasterio
from geoprose.scenes.scene import Scene
from geoprose.scenes.sniff import GEOTIFF, PICTURE_DRIVERS, checked_path, sniff_driver
from geoprose.scenes.tiff_header import check_tiff
from geoprose.scenes.validity import validity_of
from geoprose.scenes.window import Window, as_window, region_window

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

Bounds = tuple[float, float, float, float]

_FULL = -1
_OVERVIEW_SLACK = 1.01  # an overview of 31x31 for a scene of 61x61 still counts as half the size


def open_scene(path: str | os.PathLike[str], limits: ReadLimits | None = None) -> SceneFile:
    """Open a GeoTIFF, COG, JPEG 2000, PNG, JPEG or WebP; use as a context manager.

    The first bytes decide the one driver; sizes are checked before anything is decoded; neighbouring files and the
    network are never touched (see `geoprose.scenes.safe_gdal` for what that loses).

    Args:
        path: A local file.
        limits: What the file may cost; the defaults of `ReadLimits` when None.

    Raises:
        SceneError: If the file is missing, of no accepted format, damaged, or above a limit.
    """
    return SceneFile(checked_path(path), limits or ReadLimits())


class SceneFile:
    """An open scene: its description, and windows of it on request. Not safe to share between threads.

    Args:
        path: Path accepted by `checked_path`; use `open_scene`.
        limits: What the file may cost.

    Attributes:
        path: The file.
        driver: GDAL driver that reads it.
        width_px: Columns.
        height_px: Rows.
        dtype: Data type of the values, numpy's name.
        bands: Name of every band, alpha included.
        georef: Transform and CRS; the identity transform without georeference.
        nodata: Nodata value of the first band, or None.
        gsd_m: Metres per pixel at the scene's centre, or None without CRS.
        has_overviews: Whether the file holds overviews.
        validity: How the file says which pixels hold data.
        palette_NC: Colours of a paletted band (values, 4), or None.
    """

    def __init__(self, path: Path, limits: ReadLimits) -> None:
        self.path, self.limits = path, limits
        self.driver = sniff_driver(path)
        if self.driver == GEOTIFF:
            check_tiff(path, limits)
        with self._reading("opened"):
            dataset = open_dataset(path, self.driver)
            try:
                self._describe(dataset)
            except BaseException:
                dataset.close()
                raise

    def _describe(self, dataset: Any) -> None:
        self.validity = validity_of(dataset)
        self._layers: dict[int, Layer] = {_FULL: Layer(dataset, self.path.name, 1.0, 1.0, self.validity)}
        self.width_px, self.height_px = int(dataset.width), int(dataset.height)
        dtype = self._layers[_FULL].dtype
        check_size(self.path.name, (self.width_px, self.height_px, dataset.count), dtype.itemsize, self.limits)
        self.dtype = dtype.name
        if self.driver in PICTURE_DRIVERS:
            check_picture(self.path, PICTURE_DRIVERS[self.driver], (self.width_px, self.height_px), self.limits)
        elif self.driver != GEOTIFF:  # the tiles of a JPEG 2000 codestream may span the whole picture
            total = self.width_px * self.height_px * dataset.count * dtype.itemsize
            advice = "If you trust the file, raise max_read_bytes in ReadLimits."
            what = f"{self.path.name} is a JPEG 2000 file with a number of bytes of"
            refuse_above(total, self.limits.max_read_bytes, what, advice)
        self.bands = band_names(dataset.descriptions, [colour.name for colour in dataset.colorinterp])
        crs = dataset.crs.to_string() if dataset.crs else None
        self.georef = GeoRef(tuple(dataset.transform)[:6], crs or None, self.width_px, self.height_px)
        self.gsd_m = _gsd_or_none(self.georef)
        self.nodata = self.validity.nodata[0]
        # Why not for pictures: the overview of a JPEG may be its EXIF thumbnail, which can show anything.
        self._factors: list[int] = [] if self.driver in PICTURE_DRIVERS else list(dataset.overviews(1))
        self.palette_NC = _palette(dataset)

    @property
    def num_overviews(self) -> int:
        """Number of overviews inside the file."""
        return len(self._factors)

    @property
    def has_overviews(self) -> bool:
        """Whether the file holds overviews inside."""
        return self.num_overviews > 0

    @property
    def full(self) -> Layer:
        """The full picture, for descriptions."""
        return self._layers[_FULL]

    def overview(self, level: int) -> Layer:
        """Return one overview, opened once; 0 is the finest."""
        if level not in self._layers:
            with self._reading("read"):
                dataset = open_dataset(self.path, self.driver, overview_level=level)
            scale_x, scale_y = self.width_px / dataset.width, self.height_px / dataset.height
            self._layers[level] = Layer(dataset, self.path.name, scale_x, scale_y, self.validity)
        return self._layers[level]

    def bbox(self, min_x: float, min_y: float, max_x: float, max_y: float, crs: str = LONLAT) -> Window:
        """Return the window that encloses a region, clipped to the scene.

        Args:
            min_x: Western edge, in degrees of longitude unless ``crs`` is given; a column when the scene has no CRS.
            min_y: Southern edge; a row when the scene has no CRS.
            max_x: Eastern edge; below ``min_x`` for a region across the antimeridian.
            max_y: Northern edge.
            crs: CRS of the four numbers.

        Raises:
            SceneError: If the region does not meet the scene; the message gives the scene's extent.
        """
        return region_window((min_x, min_y, max_x, max_y), crs, self.georef, self.path.name)

    def read(
        self,
        window: Window | Sequence[int] | None = None,
        region: Bounds | None = None,
        bands: BandRequest = None,
        size_px: int | tuple[int, int] | None = None,
        resampling: Resampling | None = None,
    ) -> Scene:
        """Decode part of the scene, decimated through the overviews when a smaller size is asked for.

        Args:
            window: Pixels to read; the whole scene when None.
            region: ``(min_x, min_y, max_x, max_y)`` instead of a window, as for `bbox`.
            bands: Numbers from 1, names, or a sensor composite such as ``"sentinel-2"`` or ``"naip:nir"``; all bands
                but alpha when None.
            size_px: Longest side of the result (never enlarged), or its exact ``(width, height)``.
            resampling: ``"area"`` averages the valid pixels below each output pixel; ``"nearest"`` picks the one at its
                centre. None: nearest for palettes and 64-bit integers, else area.

        Raises:
            SceneError: If the window or region does not fit, a band does not exist, a limit is exceeded, the file is
                damaged, or no pixel of the window holds data.
        """
        if window is not None and region is not None:
            raise SceneError(f"Give either a window or a region of {self.path.name}, not both.")
        if region is not None:
            window = self.bbox(*region)
        checked = as_window(window or (0, 0, self.width_px, self.height_px), self.georef, self.path.name)
        numbers = select_bands(bands, self.bands, self.validity.alpha, self.path.name)
        width, height = _result_size(checked, size_px)
        is_exact = self.palette_NC is not None or self.dtype in ("int64", "uint64")
        request = Request(checked, numbers, width, height, resampling or ("nearest" if is_exact else "area"))
        layer = self._layer_for(request)
        with self._reading("read"):
            pixels_CHW, is_valid_HW = decode(layer, request, self.limits)
        return self._scene(request, pixels_CHW, is_valid_HW)

    def _scene(self, request: Request, pixels_CHW: Any, is_valid_HW: Any) -> Scene:
        window = request.window
        if not is_valid_HW.any():
            raise SceneError(
                f"All pixels of the window (col_off={window.col_off}, row_off={window.row_off}, width={window.width}, "
                f"height={window.height}) of {self.path.name} are empty ({self.validity.kind}). Choose another region."
            )
        scales = (window.width / request.width_px, window.height / request.height_px)
        georef = window_georef(self.georef, window.col_off, window.row_off, window.width, window.height, *scales)
        names = tuple(self.bands[number - 1] for number in request.numbers)
        palette_NC = self.palette_NC if len(names) == 1 else None
        gsd = _gsd_or_none(georef)
        return Scene(pixels_CHW, is_valid_HW, georef, names, gsd, None, str(self.path), palette_NC)

    def _layer_for(self, request: Request) -> Layer:
        """The coarsest overview that is still at least as fine as the result."""
        window = request.window
        wanted = min(window.width / request.width_px, window.height / request.height_px) * _OVERVIEW_SLACK
        # Contract: factors are rounded up from the true scales, so the slack keeps a level that only just fits.
        levels = sorted((factor, level) for level, factor in enumerate(self._factors) if factor <= wanted + 0.5)
        for _, level in reversed(levels):
            layer = self.overview(level)
            if max(layer.scale_x, layer.scale_y) <= wanted:
                return layer
        return self.full

    @contextmanager
    def _reading(self, verb: str) -> Iterator[None]:
        """Hold the safe GDAL options; turn GDAL's errors into one that names the file."""
        try:
            with gdal_options():
                yield
        except SceneError:
            raise
        except GDAL_ERRORS as error:
            cause = str(error.__cause__ or error).replace(str(self.path), self.path.name)
            raise SceneError(
                f"{self.path.name} cannot be {verb}: {cause[:200]}. The file may be truncated or damaged; copy it "
                "again and check it with `gdalinfo -checksum`."
            ) from error

    def close(self) -> None:
        """Close the file; reading afterwards fails."""
        for layer in self._layers.values():
            layer.dataset.close()

    def __enter__(self) -> SceneFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        size = f"{self.width_px} x {self.height_px} px, {len(self.bands)} bands {self.dtype}"
        return f"SceneFile({self.path.name!r}, {self.driver}, {size}, {str(self.georef.crs)[:40]})"


def _gsd_or_none(georef: GeoRef) -> tuple[float, float] | None:
    try:
        return gsd_m(georef)
    except GeoreferenceError:
        return None


def _result_size(window: Window, size_px: int | tuple[int, int] | None) -> tuple[int, int]:
    if size_px is None:
        return window.width, window.height
    if isinstance(size_px, int):
        scale = min(1.0, size_px / max(window.width, window.height))
        size = (max(1, round(window.width * scale)), max(1, round(window.height * scale))) if size_px > 0 else (0, 0)
    else:
        size = (int(size_px[0]), int(size_px[1]))
    if min(size) < 1:
        raise SceneError(f"size_px={size_px!r} is not a size; give the longest side or (width, height), at least 1.")
    return size


def _palette(dataset: Any) -> Any:
    """Colours of band 1 as uint8 (values, 4), or None when it has no colour table."""
    if dataset.colorinterp[0] != rasterio.enums.ColorInterp.palette:
        return None
    table = dataset.colormap(1)
    palette_NC = np.zeros((max(table) + 1, 4), dtype=np.uint8)
    for value, colour in table.items():
        palette_NC[value] = colour
    return palette_NC
