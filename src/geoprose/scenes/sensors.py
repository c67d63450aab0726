"""Band orders of common sensors, so that ``bands="sentinel-2:nir"`` needs no lookup.

Each table lists the bands in the order of the sensor's usual product; a file whose bands carry these names (as band
descriptions) is matched by name in any order, otherwise the file must have exactly as many bands as the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Sensor:
    """Bands of one sensor's product, and named selections of three.

    Attributes:
        bands: Band names in file order.
        selections: Name of a composite to three band names: red, green and blue of the picture.
        source: Where the band list was read.
    """

    bands: tuple[str, ...]
    selections: Mapping[str, tuple[str, str, str]]
    source: str


_S2 = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
_OLI = ("SR_B1", "SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B6", "SR_B7")
_TM = ("SR_B1", "SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B7")
_RGBN = ("red", "green", "blue", "nir")

SENSORS: dict[str, Sensor] = {
    "sentinel-2": Sensor(
        _S2,
        {"true-colour": ("B04", "B03", "B02"), "nir": ("B08", "B04", "B03"), "swir": ("B12", "B8A", "B04")},
        "ESA Sentinel-2 MSI Level-2A product definition (12 bands, B10 is not delivered)",
    ),
    "sentinel-2-l1c": Sensor(
        (*_S2[:10], "B10", *_S2[10:]),
        {"true-colour": ("B04", "B03", "B02"), "nir": ("B08", "B04", "B03"), "swir": ("B12", "B8A", "B04")},
        "ESA Sentinel-2 MSI Level-1C product definition (13 bands)",
    ),
    "sentinel-2-10m": Sensor(
        ("B02", "B03", "B04", "B08"),
        {"true-colour": ("B04", "B03", "B02"), "nir": ("B08", "B04", "B03")},
        "ESA Sentinel-2 MSI, the four bands of 10 m in wavelength order",
    ),
    "landsat-8/9": Sensor(
        _OLI,
        {
            "true-colour": ("SR_B4", "SR_B3", "SR_B2"),
            "nir": ("SR_B5", "SR_B4", "SR_B3"),
            "swir": ("SR_B7", "SR_B5", "SR_B4"),
        },
        "USGS Landsat 8-9 OLI Collection 2 Level-2 surface reflectance",
    ),
    "landsat-4/5/7": Sensor(
        _TM,
        {
            "true-colour": ("SR_B3", "SR_B2", "SR_B1"),
            "nir": ("SR_B4", "SR_B3", "SR_B2"),
            "swir": ("SR_B7", "SR_B4", "SR_B3"),
        },
        "USGS Landsat 4-7 TM and ETM+ Collection 2 Level-2 surface reflectance",
    ),
    "naip": Sensor(
        _RGBN,
        {"true-colour": ("red", "green", "blue"), "nir": ("nir", "red", "green")},
        "USDA NAIP four-band imagery: red, green, blue, near infrared",
    ),
    "planet-4band": Sensor(
        ("blue", "green", "red", "nir"),
        {"true-colour": ("red", "green", "blue"), "nir": ("nir", "red", "green")},
        "Planet PSScene ortho_analytic_4b: blue, green, red, near infrared",
    ),
    "planet-8band": Sensor(
        ("coastal_blue", "blue", "green_i", "green", "yellow", "red", "rededge", "nir"),
        {"true-colour": ("red", "green", "blue"), "nir": ("nir", "red", "green")},
        "Planet PSScene ortho_analytic_8b (SuperDove)",
    ),
}
"""Sensor name to its bands. ``"NAME"`` selects true colour, ``"NAME:SELECTION"`` another composite."""
