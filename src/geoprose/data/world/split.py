"""Split the globe by geography: held-out north-south strips, and a buffer that belongs to nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from geoprose.core.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from geoprose.data.world.settings import ColumnBand, WorldSettings
    from geoprose.data.world.tiles import Tile

SplitName = Literal["train", "val", "test"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)


def column_splits(num_columns: int, settings: WorldSettings) -> list[SplitName | None]:
    """Return the split of each tile column; None for the buffer.

    Columns wrap at 180 degrees: the first and the last one are neighbours.

    Raises:
        ConfigError: If a strip lies outside the globe, or two strips touch each other or each other's buffer.
    """
    strips: list[tuple[SplitName, ColumnBand]] = [("test", band) for band in settings.test_bands]
    strips += [("val", band) for band in settings.val_bands]
    splits: list[SplitName | None] = ["train"] * num_columns
    for name, band in strips:
        if not band.first <= band.last < num_columns:
            raise ConfigError(f"The {name} strip {band.first}..{band.last} is outside the {num_columns} tile columns.")
        around = range(band.first - settings.buffer_columns, band.last + settings.buffer_columns + 1)
        for column in around:
            held_out = band.first <= column <= band.last
            if splits[column % num_columns] in ("val", "test"):
                raise ConfigError(f"The {name} strip {band.first}..{band.last} touches another strip or its buffer.")
            splits[column % num_columns] = name if held_out else None
    if "train" not in splits:
        raise ConfigError("The held-out strips and their buffers leave no column for training.")
    return splits


def split_of_tile(x_px: int, tile_px: int, splits: list[SplitName | None]) -> SplitName | None:
    """Return the split of the tile whose left edge is ``x_px``; None if its columns are not all of one split."""
    touched = {splits[column] for column in range(x_px // tile_px, (x_px + tile_px - 1) // tile_px + 1)}
    return touched.pop() if len(touched) == 1 else None


def smallest_gap_px(first: Iterable[Tile], second: Iterable[Tile], globe_width_px: int) -> int | None:
    """Return the fewest columns of pixels between a tile of one set and one of the other, wrapping at 180 degrees.

    Strips run over all latitudes, so the distance along the columns is what separates them. None if a set is empty;
    0 if two tiles touch or share columns.
    """
    spans_a = {(tile.x_px, tile.x_px + tile.side_px) for tile in first}
    spans_b = {(tile.x_px, tile.x_px + tile.side_px) for tile in second}
    gaps = [_gap(a, b, globe_width_px) for a in spans_a for b in spans_b]
    return min(gaps, default=None)


def _gap(a: tuple[int, int], b: tuple[int, int], period: int) -> int:
    shifted = [(b[0] + turn, b[1] + turn) for turn in (-period, 0, period)]
    return max(0, min(max(start - a[1], a[0] - end) for start, end in shifted))


def check_leaks(tiles: dict[SplitName, list[Tile]], globe_width_px: int, buffer_px: int) -> dict[str, int | None]:
    """Prove that no held-out tile is nearer than ``buffer_px`` to a tile of another split, and that no picture repeats.

    Returns:
        The smallest gap in pixels per pair of splits, and the number of pictures found in two splits (always 0).

    Raises:
        DataError: If a gap is too small or two splits share a picture.
    """
    report: dict[str, int | None] = {}
    pairs: tuple[tuple[SplitName, SplitName], ...] = (("train", "test"), ("train", "val"), ("val", "test"))
    for first, second in pairs:
        gap = smallest_gap_px(tiles[first], tiles[second], globe_width_px)
        if gap is not None and gap < buffer_px:
            raise DataError(
                f"Split leak: a {first} tile lies {gap} px from a {second} tile; {buffer_px} px are required."
            )
        report[f"gap_px_{first}_{second}"] = gap
    digests = {name: {tile.digest for tile in tiles[name]} for name in SPLITS}
    shared = digests["test"] & (digests["train"] | digests["val"]) | digests["val"] & digests["train"]
    if shared:
        raise DataError(f"Split leak: {len(shared)} identical pictures lie in two splits.")
    report["identical_pictures"] = 0
    return report
