"""Reading scenes: ours next to plain rasterio, the same file, in turn, in CPU seconds of one thread.

Usage: python benchmarks/scenes_read.py [--json] [--side 10240] [--repeats 5]

Goals: grid tiles as float32 batches at 60 % or more of raw rasterio windows;
a whole-scene view of 336 px at least 50 times faster than reading everything and resizing, when overviews exist; peak
memory that does not grow with the scene. torchgeo is measured too when it is installed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from _harness import call_cpu_seconds, finish, interleave, target, versions

from geoprose.scenes.open import open_scene
from geoprose.scenes.safe_gdal import CACHE_MB, rasterio

if TYPE_CHECKING:
    from collections.abc import Callable

TILE = 512
BATCH = 8


def main() -> None:
    """Measure and print; the last line of stdout is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print only the JSON object")
    parser.add_argument("--side", type=int, default=10_240, help="pixels of the scene's side, a multiple of 512")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--memory", metavar="PATH", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory:
        read_everything(Path(arguments.memory))
        return
    with tempfile.TemporaryDirectory() as folder:
        sides = (arguments.side // 2, arguments.side)
        paths = {side: write_scene(Path(folder) / f"{side}.tif", side) for side in sides}
        result = measure(paths, arguments.side, arguments.repeats)
    if not arguments.json:
        for name, figure in result["figures"].items():
            print(f"{name:40} {figure:12.4g}")
    finish(result)


def write_scene(path: Path, side: int) -> Path:
    """Write noise over smooth ground, tiled, deflate, predictor 2, with overviews."""
    generator = np.random.default_rng(0)
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8", "crs": "EPSG:32633"}
    profile |= {"tiled": True, "blockxsize": TILE, "blockysize": TILE, "compress": "deflate", "predictor": 2}
    profile |= {"transform": rasterio.Affine(10, 0, 5e5, 0, -10, 5e6), "interleave": "pixel", "photometric": "RGB"}
    columns = np.arange(side)
    with rasterio.open(path, "w", **profile) as dataset:
        for row in range(0, side, TILE):
            ground = 100 + 60 * np.sin(columns / 900)[None, :] * np.cos(np.arange(row, row + TILE) / 700)[:, None]
            rows = np.stack([ground + generator.integers(0, 24, ground.shape) for _ in range(3)]).astype(np.uint8)
            dataset.write(rows, window=rasterio.windows.Window(0, row, side, TILE))
        dataset.build_overviews([2, 4, 8, 16], rasterio.enums.Resampling.average)
    return path


def interleaved(functions: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median CPU seconds of each function, called in turn so that drift meets all of them."""
    measures = {name: (lambda function=function: call_cpu_seconds(function)) for name, function in functions.items()}
    return interleave(measures, repeats)


def windows(side: int, limit: int) -> list[tuple[int, int, int, int]]:
    """The first tiles of the grid, row by row."""
    grid = [(column, row, TILE, TILE) for row in range(0, side, TILE) for column in range(0, side, TILE)]
    return grid[:limit]


def raw_tiles(path: Path, tiles: list[tuple[int, int, int, int]]) -> None:
    """Peer: rasterio, one open file, the values as they are."""
    with rasterio.Env(GDAL_CACHEMAX=CACHE_MB), rasterio.open(path) as dataset:
        for tile in tiles:
            dataset.read(window=rasterio.windows.Window(*tile))


def raw_batches(path: Path, tiles: list[tuple[int, int, int, int]]) -> None:
    """Peer: the same, copied into float32 batches."""
    batch = np.empty((BATCH, 3, TILE, TILE), dtype=np.float32)
    with rasterio.Env(GDAL_CACHEMAX=CACHE_MB), rasterio.open(path) as dataset:
        for index, tile in enumerate(tiles):
            batch[index % BATCH] = dataset.read(window=rasterio.windows.Window(*tile))


def our_tiles(path: Path, tiles: list[tuple[int, int, int, int]]) -> None:
    """Ours: scenes with validity, georeference and GSD each."""
    with open_scene(path) as scene:
        for tile in tiles:
            scene.read(window=tile)


def our_batches(path: Path, tiles: list[tuple[int, int, int, int]]) -> None:
    """Ours, copied into float32 batches."""
    batch = np.empty((BATCH, 3, TILE, TILE), dtype=np.float32)
    with open_scene(path) as scene:
        for index, tile in enumerate(tiles):
            batch[index % BATCH] = scene.read(window=tile).pixels_CHW


def full_read_and_resize(path: Path, size: int) -> np.ndarray:
    """Peer: read everything, then average down with Pillow."""
    from PIL import Image

    with rasterio.Env(GDAL_CACHEMAX=CACHE_MB), rasterio.open(path) as dataset:
        pixels = dataset.read()
    return np.stack([np.asarray(Image.fromarray(band).resize((size, size), Image.Resampling.BOX)) for band in pixels])


def our_view(path: Path, size: int) -> np.ndarray:
    """Ours: through the overviews."""
    with open_scene(path) as scene:
        return scene.read(size_px=(size, size)).pixels_CHW


def torchgeo_tiles(path: Path, tiles: list[tuple[int, int, int, int]]) -> Callable[[], object] | None:
    """Peer: torchgeo's grid sampler over the same tiles, or None when it is not installed."""
    try:
        from torchgeo.datasets import RasterDataset
        from torchgeo.samplers import GridGeoSampler, Units
    except ImportError:
        return None

    def run() -> None:
        dataset = RasterDataset(str(path.parent))
        sampler = GridGeoSampler(dataset, size=TILE, stride=TILE, units=Units.PIXELS)
        for _, query in zip(tiles, sampler, strict=False):
            dataset[query]

    return run


def read_everything(path: Path) -> None:
    """Read every tile and a whole view; print the peak memory in MB. Runs in a process of its own."""
    with open_scene(path) as scene:
        for tile in windows(scene.width_px, 10**9):
            scene.read(window=tile)
        scene.read(size_px=336)
    # Why not getrusage: its peak is inherited from the parent process through exec.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(int(status["VmHWM"].split()[0]) / 1024)


def peak_mb(path: Path) -> float:
    """Peak memory of a process that reads the whole scene by tiles."""
    command = [sys.executable, __file__, "--memory", str(path)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def measure(paths: dict[int, Path], side: int, repeats: int) -> dict[str, object]:
    """Run everything; figures are CPU seconds unless their name says otherwise."""
    path, small = paths[side], paths[side // 2]
    tiles = windows(side, 64)
    functions: dict[str, Callable[[], object]] = {
        "rasterio_tiles": lambda: raw_tiles(path, tiles),
        "geoprose_tiles": lambda: our_tiles(path, tiles),
        "rasterio_float_batches": lambda: raw_batches(path, tiles),
        "geoprose_float_batches": lambda: our_batches(path, tiles),
    }
    peer = torchgeo_tiles(path, tiles)
    if peer is not None:
        functions["torchgeo_tiles"] = peer
    figures = interleaved(functions, repeats)
    for size in (336, 1024):
        views = {
            f"full_read_and_resize_{size}": lambda size=size: full_read_and_resize(path, size),
            f"geoprose_view_{size}": lambda size=size: our_view(path, size),
        }
        figures |= interleaved(views, repeats)
    figures |= {"peak_mb_half_side": peak_mb(small), "peak_mb_full_side": peak_mb(path)}
    difference = np.abs(full_read_and_resize(path, 336).astype(int) - our_view(path, 336))
    figures["view_mean_difference_grey_levels"] = float(difference.mean())
    ratios = {
        "tiles_vs_rasterio": figures["rasterio_tiles"] / figures["geoprose_tiles"],
        "float_batches_vs_rasterio_tiles": figures["rasterio_tiles"] / figures["geoprose_float_batches"],
        "view_336_vs_full_read": figures["full_read_and_resize_336"] / figures["geoprose_view_336"],
        "view_1024_vs_full_read": figures["full_read_and_resize_1024"] / figures["geoprose_view_1024"],
        "peak_memory_full_vs_half_side": figures["peak_mb_full_side"] / figures["peak_mb_half_side"],
    }
    if peer is not None:
        ratios["float_batches_vs_torchgeo"] = figures["torchgeo_tiles"] / figures["geoprose_float_batches"]
    return {
        "benchmark": "scenes_read",
        "unit": "CPU seconds of one thread; MB where named so",
        "figures": figures,
        "ratios": ratios,
        "sizes": {"side_px": side, "bands": 3, "tile_px": TILE, "tiles": len(tiles), "repeats": repeats,
                  "file_bytes": path.stat().st_size, "cache_mb": CACHE_MB},
        "versions": {**versions("rasterio", "numpy", "pillow", "torchgeo"), "gdal": rasterio.__gdal_version__},
        "targets": targets(ratios),
    }  # fmt: skip


def targets(ratios: dict[str, float]) -> list[dict[str, object]]:
    """What the design asks for, and whether it is met here."""
    asked = {
        "tiles_vs_rasterio": (0.85, False),
        "float_batches_vs_rasterio_tiles": (0.60, False),
        "view_336_vs_full_read": (50.0, False),
        "float_batches_vs_torchgeo": (2.5, False),
        "peak_memory_full_vs_half_side": (1.2, True),
    }
    return [target(name, ratios[name], *bound) for name, bound in asked.items() if name in ratios]


if __name__ == "__main__":
    main()
