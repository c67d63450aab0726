"""Sample to JSON and back; every broken record names what is wrong and where."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoprose.core.errors import DataError
from geoprose.core.types import GeoRef, Message, Sample
from geoprose.data.records import load_json, sample_from_dict, sample_to_dict

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=64)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
SIZES = st.integers(1, 100_000)
OFFSETS = st.floats(-1e7, 1e7)
SCALES = st.floats(1e-4, 1e4)
GEOREFS = st.builds(
    lambda a, c, e, f, crs, width, height: GeoRef((a, 0.0, c, 0.0, -e, f), crs, width, height),
    SCALES, OFFSETS, SCALES, OFFSETS, st.none() | st.just("EPSG:32631"), SIZES, SIZES,
)  # fmt: skip


@st.composite
def samples(draw) -> Sample:
    images = tuple(draw(st.lists(TEXT, max_size=3)))
    georefs = tuple(draw(st.none() | GEOREFS) for _ in images) if draw(st.booleans()) else ()
    messages = draw(st.lists(st.builds(Message, st.sampled_from(["system", "user", "assistant"]), TEXT), max_size=4))
    meta = draw(st.dictionaries(TEXT, JSON_VALUES, max_size=3))
    return Sample(draw(TEXT.filter(bool)), images, tuple(messages), draw(TEXT), draw(TEXT), georefs, meta)


@given(sample=samples())
def test_any_sample_survives_json(sample) -> None:
    line = json.dumps(sample_to_dict(sample), allow_nan=False)
    assert sample_from_dict(load_json(line, "here"), "here") == sample


GOOD = sample_to_dict(
    Sample(
        "a",
        ("x.png",),
        (Message("user", "<image>"), Message("assistant", "b")),
        georefs=(GeoRef((1.0, 0.0, 0.0, 0.0, -1.0, 0.0), "EPSG:4326", 2, 2),),
    )
)
GEOREF = GOOD["georefs"][0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": 7}, "id must be text"),
        ({"id": ""}, "id is empty"),
        ({"images": "x.png"}, "images must be a list"),
        ({"images": [3]}, r"images\[0\] must be text"),
        ({"messages": [{"role": "robot", "text": "x"}]}, "message 1: role is 'robot'"),
        ({"messages": [{"role": "user"}]}, "lacks text"),
        ({"messages": [{"role": "user", "text": None}]}, "text must be text"),
        ({"colour": "red"}, "unknown keys colour"),
        ({"meta": []}, "meta must be an object"),
        ({"georefs": []} | {"images": ["x.png"], "georefs": [GEOREF, None]}, "2 georefs for 1 images"),
        ({"georefs": [{**GEOREF, "transform": [1, 2, 3]}]}, "six finite numbers"),
        ({"georefs": [{**GEOREF, "transform": [1, 0, 0, 0, True, 0]}]}, "six finite numbers"),
        ({"georefs": [{**GEOREF, "transform": [math.inf, 0, 0, 0, 1, 0]}]}, "six finite numbers"),
        ({"georefs": [{**GEOREF, "transform": [1, 1, 0, 1, 1, 0]}]}, "cannot be inverted"),
        ({"georefs": [{**GEOREF, "crs": 4326}]}, "crs must be text or null"),
        ({"georefs": [{**GEOREF, "width_px": 0}]}, "whole numbers above 0"),
        ({"georefs": [{"crs": None}]}, "lacks height_px"),
    ],
)
def test_a_broken_record_is_refused_with_its_place(change, message) -> None:
    with pytest.raises(DataError, match=message) as caught:
        sample_from_dict({**GOOD, **change}, "train.jsonl, line 12")
    assert str(caught.value).startswith("train.jsonl, line 12")


@pytest.mark.parametrize("value", [None, 3, [], "x"])
def test_a_record_that_is_no_object_is_refused(value) -> None:
    with pytest.raises(DataError, match="must be an object"):
        sample_from_dict(value, "here")


@pytest.mark.parametrize("line", ["{", '{"a": NaN}', '{"a": Infinity}', "[" * 100_000, "", "1" * 5000])
def test_what_is_not_json_is_refused(line) -> None:
    with pytest.raises(DataError, match="not valid JSON"):
        load_json(line, "here")
