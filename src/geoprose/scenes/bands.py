"""Which bands of a file to read: by number, by name, or by the usual composite of a sensor."""

from __future__ import annotations

from collections.abc import Sequence

from geoprose.core.errors import SceneError
from geoprose.core.registry import unknown_name_message
from geoprose.scenes.sensors import SENSORS

BandRequest = int | str | Sequence[int | str] | None
"""None (all but alpha), a 1-based number, a name, a sensor composite such as ``"naip:nir"``, or a list of these."""


def band_names(descriptions: Sequence[str | None], colours: Sequence[str]) -> tuple[str, ...]:
    """Name every band: its description, else its colour, else ``band_<number>``; names are made unique.

    Args:
        descriptions: GDAL's band descriptions.
        colours: GDAL's colour interpretation, lower case.
    """
    names: list[str] = []
    for number, (description, colour) in enumerate(zip(descriptions, colours, strict=True), start=1):
        name = (description or "").strip() or (colour if colour in _COLOURS else f"band_{number}")
        names.append(name if name not in names else f"{name}_{number}")
    return tuple(names)


_COLOURS = {"red", "green", "blue", "alpha", "nir", "swir", "pan", "coastal", "rededge"}


def select_bands(request: BandRequest, names: Sequence[str], alpha: int | None, file_name: str) -> list[int]:
    """Return the 1-based band numbers that ``request`` asks for.

    Args:
        request: See `BandRequest`.
        names: Names of all bands of the file.
        alpha: 1-based number of the alpha band, which is validity and not a picture; None without one.
        file_name: For messages.

    Raises:
        SceneError: If a band does not exist; the message lists the file's bands and close names.
    """
    if request is None:
        return [number for number in range(1, len(names) + 1) if number != alpha] or [1]
    items: Sequence[int | str] = [request] if isinstance(request, int | str) else list(request)
    numbers = [number for item in items for number in _numbers_of(item, names, alpha, file_name)]
    if not numbers:
        raise SceneError(f"No band of {file_name} was asked for. Leave `bands` out to read all of {', '.join(names)}.")
    return numbers


def _numbers_of(item: int | str, names: Sequence[str], alpha: int | None, file_name: str) -> list[int]:
    if isinstance(item, int):
        if isinstance(item, bool) or not 1 <= item <= len(names):
            raise SceneError(f"{file_name} has no band {item}; its bands are numbered 1 to {len(names)}.")
        return [item]
    lowered = [name.lower() for name in names]
    if item.lower() in lowered:
        return [lowered.index(item.lower()) + 1]
    if item.isdigit():
        return _numbers_of(int(item), names, alpha, file_name)
    sensor_name, _, selection = item.lower().partition(":")
    if sensor_name not in SENSORS:
        raise SceneError(f"{file_name}: " + unknown_name_message("band or sensor", item, [*names, *SENSORS]))
    return _sensor_numbers(sensor_name, selection or "true-colour", lowered, alpha, file_name)


def _sensor_numbers(
    sensor_name: str, selection: str, lowered: list[str], alpha: int | None, file_name: str
) -> list[int]:
    sensor = SENSORS[sensor_name]
    if selection not in sensor.selections:
        raise SceneError(unknown_name_message(f"selection of {sensor_name}", selection, sensor.selections))
    wanted = sensor.selections[selection]
    if all(band.lower() in lowered for band in wanted):
        return [lowered.index(band.lower()) + 1 for band in wanted]
    pictures = [number for number in range(1, len(lowered) + 1) if number != alpha]
    if len(pictures) != len(sensor.bands):
        raise SceneError(
            f"{file_name} has {len(pictures)} bands, none named like those of {sensor_name}, whose product has "
            f"{len(sensor.bands)}: {', '.join(sensor.bands)}. Give band numbers instead."
        )
    return [pictures[sensor.bands.index(band)] for band in wanted]
