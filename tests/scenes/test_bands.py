import pytest

from geoprose.core.errors import SceneError
from geoprose.scenes.bands import band_names, select_bands
from geoprose.scenes.sensors import SENSORS

NAMES = ("B02", "B03", "B04", "B08")


def test_names_come_from_descriptions_then_colours_then_numbers():
    names = band_names([None, "nir ", None, "nir", None], ["red", "green", "undefined", "gray", "alpha"])
    assert names == ("red", "nir", "band_3", "nir_4", "alpha")


@pytest.mark.parametrize(
    ("request_", "numbers"),
    [
        (None, [1, 2, 3, 4]), (2, [2]), ("2", [2]), ("b08", [4]), (["B04", 1, "3"], [3, 1, 3]),
        ("sentinel-2-10m", [3, 2, 1]), ("sentinel-2", [3, 2, 1]), ("Sentinel-2:NIR", [4, 3, 2]),
        ("naip:nir", [4, 1, 2]),
        ("planet-4band", [3, 2, 1]),
    ],
)  # fmt: skip
def test_selection(request_, numbers):
    assert select_bands(request_, NAMES, None, "a.tif") == numbers


def test_alpha_is_left_out():
    assert select_bands(None, ("red", "alpha"), 2, "a.tif") == [1]
    assert select_bands("alpha", ("red", "alpha"), 2, "a.tif") == [2]
    five = ("band_1", "band_2", "band_3", "band_4", "alpha")
    assert select_bands("naip:nir", five, 5, "a.tif") == [4, 1, 2]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (0, "no band 0"), (5, "numbered 1 to 4"), (True, "no band True"), ([], "No band"), ("B8", "Did you mean"),
        ("sentinel-3", "sentinel-2"), ("naip:thermal", "Known: nir, true-colour"),
        ("landsat-8/9", "whose product has 7"),
    ],
)  # fmt: skip
def test_what_does_not_exist_is_named(request_, message):
    with pytest.raises(SceneError, match=message):
        select_bands(request_, NAMES, None, "a.tif")


@pytest.mark.parametrize("name", SENSORS)
def test_every_sensor_is_consistent(name):
    sensor = SENSORS[name]
    assert len(set(sensor.bands)) == len(sensor.bands)
    assert "true-colour" in sensor.selections
    assert "nir" in sensor.selections
    assert sensor.source
    for selection in sensor.selections:
        numbers = select_bands(f"{name}:{selection}", [f"band_{n + 1}" for n in range(len(sensor.bands))], None, "a")
        assert tuple(sensor.bands[number - 1] for number in numbers) == sensor.selections[selection]
