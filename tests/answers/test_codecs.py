"""Every box format: published examples, faults, round trips, and arbitrary text."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoprose.answers.codecs import BOX_CODECS, format_boxes, get_codec, guess_codec, parse_answer, read_boxes
from geoprose.answers.corners import box_corners
from geoprose.answers.frames import make_frame
from geoprose.core.errors import ConfigError, DataError
from geoprose.core.types import Box
from geoprose.layout.resize import ResizeHistory, plan_resize

NAMES = BOX_CODECS.names()
HUNDRED = (100, 100)
THOUSAND = (1000, 1000)


def corners_of(text: str, codec: str, geometry) -> list[tuple[float, float, float, float]]:
    answer = parse_answer(text, codec, geometry)
    assert answer.status == "ok", answer
    return [(box.x_min, box.y_min, box.x_max, box.y_max) for box in answer.boxes]


@pytest.mark.parametrize(
    ("codec", "text", "geometry", "expected"),
    [
        ("geochat", "{<40><89><46><94>|<0>}", HUNDRED, [(40, 89, 46, 94)]),
        ("geochat", "{<40><89><46><94>}", (200, 50), [(80, 44.5, 92, 47)]),
        ("geochat", "<p>4 small cars</p> {<1><2><3><4>}<delim>{<5><6><7><8>}", HUNDRED, [(1, 2, 3, 4), (5, 6, 7, 8)]),
        ("vrsbench", "{<10><20><30><40>}", HUNDRED, [(10, 20, 30, 40)]),
        ("vrsbench_obb_v1", "{<50><50><20><10>|<0>}", HUNDRED, [(40, 45, 60, 55)]),
        ("vrsbench_obb_v2", "{<10><20><30><40>|<0>}", HUNDRED, [(10, 20, 30, 40)]),
        ("earthdial", "[[83, 58, 87, 62, 0]]", HUNDRED, [(83, 58, 87, 62)]),
        ("earthdial", "[[1, 2, 3, 4, 0]][[5, 6, 7, 8, 0]]", HUNDRED, [(1, 2, 3, 4), (5, 6, 7, 8)]),
        ("earthdial", "<box>[[87, 34, 91, 35, 0]]</box>", HUNDRED, [(87, 34, 91, 35)]),
        ("qwen_vl", "<ref>X</ref><box>(100,200),(300,400)</box>", HUNDRED, [(10, 20, 30, 40)]),
        (
            "qwen2_vl",
            "<|object_ref_start|>sheep<|object_ref_end|>, <|box_start|>(101,201),(150,266)<|box_end|>",
            THOUSAND,
            [(101, 201, 150, 266)],
        ),
        ("qwen2_vl", "sheep(101,201),(150,266)", THOUSAND, [(101, 201, 150, 266)]),
        ("qwen2_5_vl", '```json\n[{"bbox_2d": [1, 2, 30, 40], "label": "X"}]\n```', HUNDRED, [(1, 2, 30, 40)]),
        ("qwen3_vl", '[{"bbox_2d": [100, 200, 300, 400], "label": "X"}]', HUNDRED, [(10, 20, 30, 40)]),
        ("internvl", "<ref>X</ref><box>[[100, 200, 300, 400]]</box>", HUNDRED, [(10, 20, 30, 40)]),
        ("internvl", "<ref>X</ref><box>[[1, 2, 3, 4], [5, 6, 7, 8]]</box>", THOUSAND, [(1, 2, 3, 4), (5, 6, 7, 8)]),
        ("unit", "The ship is at [0.1, 0.2, 0.3, 0.4].", HUNDRED, [(10, 20, 30, 40)]),
        ("teochat", "[0, 8, 49, 53]", HUNDRED, [(0, 8, 49, 53)]),
        ("vhm", "[0, 80, 490, 530]", HUNDRED, [(0, 8, 49, 53)]),
        ("geoai", '[{"x_min":0.1,"y_min":0.2,"x_max":0.3,"y_max":0.4}]', HUNDRED, [(10, 20, 30, 40)]),
        ("geoprose", "water: [100 200 300 400]", HUNDRED, [(10, 20, 30, 40)]),
        ("geoprose", "[100, 200, 300, 400]", HUNDRED, [(10, 20, 30, 40)]),
        ("digits", "north 0368", (80, 80), [(0, 30, 60, 80)]),
        ("digits", "0368.", (80, 80), [(0, 30, 60, 80)]),
        ("digits", "0368 1245", (80, 80), [(0, 30, 60, 80), (10, 20, 40, 50)]),
    ],
)
def test_published_spellings_are_read(codec, text, geometry, expected) -> None:
    assert corners_of(text, codec, geometry) == [pytest.approx(box) for box in expected]


@pytest.mark.parametrize(
    ("codec", "expected"),
    [
        ("geochat", "<p>ship</p> {<10><20><30><40>|<0>}<delim>{<50><60><70><80>|<0>}"),
        ("vrsbench_obb_v1", "<p>ship</p> {<20><30><20><20>|<0>}<delim>{<60><70><20><20>|<0>}"),
        ("earthdial", "<ref>ship</ref>[[10, 20, 30, 40, 0]][[50, 60, 70, 80, 0]]"),
        ("qwen_vl", "<ref>ship</ref><box>(100,200),(300,400)</box><box>(500,600),(700,800)</box>"),
        (
            "qwen3_vl",
            '[{"bbox_2d": [100, 200, 300, 400], "label": "ship"}, {"bbox_2d": [500, 600, 700, 800], "label": "ship"}]',
        ),
        ("internvl", "<ref>ship</ref><box>[[100, 200, 300, 400]]</box><box>[[500, 600, 700, 800]]</box>"),
        ("unit", "[0.100, 0.200, 0.300, 0.400], [0.500, 0.600, 0.700, 0.800]"),
        ("geoprose", "ship: [100 200 300 400] [500 600 700 800]"),
    ],
)
def test_the_written_spelling_is_the_published_one(codec, expected) -> None:
    boxes = [Box(10, 20, 30, 40, label="ship"), Box(50, 60, 70, 80, label="ship")]
    assert format_boxes(boxes, codec, HUNDRED) == expected


def test_geochat_angle_has_two_named_readings() -> None:
    text = "{<40><45><60><55>|<90>}"
    turned = parse_answer(text, "geochat", HUNDRED).boxes[0]
    xs = sorted({round(x, 9) for x, _ in box_corners(turned)})
    assert xs == [45, 55]  # 90 turns the box: sides are exchanged, as OpenCV's minAreaRect writes them
    as_written = parse_answer(text, "geochat_unrotated_at_90", HUNDRED).boxes[0]
    assert (as_written.x_min, as_written.x_max, as_written.angle_deg) == (40, 60, 0)


def test_a_clockwise_angle_turns_the_top_right_corner_down() -> None:
    box = parse_answer("{<40><45><60><55>|<30>}", "geochat", HUNDRED).boxes[0]
    assert box.angle_deg == -30
    top_left, top_right, *_ = box_corners(box)
    assert top_right[1] > top_left[1]  # y points down
    house = parse_answer("[400 450 600 550 30]", "geoprose", HUNDRED).boxes[0]
    top_left, top_right, *_ = box_corners(house)
    assert top_right[1] < top_left[1]


@pytest.mark.parametrize(
    ("codec", "text", "kind"),
    [
        ("geochat", "{<40><89><46>}", "count"),
        ("geochat", "{<40><89><46><94>", "unreadable"),
        ("geochat", "{<40><8x><46><94>}", "unreadable"),
        ("geochat", "{<nan><1><2><3>}", "number"),
        ("geochat", "{<10><10><20><20>|<400>}", "angle"),
        ("geochat", "{<400><500><600><700>}", "range"),
        ("earthdial", "[[83, 58, 87", "unreadable"),
        ("earthdial", "[[83, 58, 87, 62, 37, 12]]", "count"),
        ("earthdial", "[[83, 58, 87, 62, 900]]", "angle"),
        ("qwen_vl", "<box>(1,2)</box>", "unreadable"),
        ("qwen_vl", "<ref>a</ref><box>somewhere</box>", "unreadable"),
        ("qwen_vl", "<box>(1,2,3),(4,5)</box>", "count"),
        ("qwen_vl", "<box>(1,2),(5000,5)</box>", "range"),
        ("qwen3_vl", '[{"bbox_2d": [1, 2, 3], "label": "X"}]', "count"),
        ("qwen3_vl", '[{"bbox_2d": [1, 2, 3, 4', "unreadable"),
        ("qwen3_vl", '[{"bbox_2d": [1, 2, NaN, 4]}]', "number"),
        ("qwen3_vl", '[{"bbox_2d": [0.1, 0.2, 0.3, 0.4]}]', "range"),
        ("qwen2_5_vl", '[{"bbox_2d": [1, 2, 3000, 4000]}]', "range"),
        ("internvl", "<ref>X</ref><box>left</box>", "unreadable"),
        ("internvl", "<box>[[1, 2, inf, 4]]</box>", "number"),
        ("unit", "[40, 89, 46, 94]", "range"),
        ("unit", "[0.1, 0.2, 0.3]", "count"),
        ("unit", "[0.1, 0.2,", "unreadable"),
        ("geoai", '{"x_min": 0.1, "y_min": null, "x_max": 0.3, "y_max": 0.4}', "number"),
        ("geoprose", "[12 34 56]", "count"),
        ("geoprose", "[12 34 56 7x8]", "unreadable"),
        ("geoprose", "[1 2 3 4 361]", "angle"),
        ("vrsbench", "{<1><2><3><4>|<5>}", "count"),
        ("digits", "205", "unreadable"),
        ("digits", "20599", "unreadable"),
    ],
)
def test_a_box_that_cannot_be_read_is_unparsable(codec, text, kind) -> None:
    boxes, problems = read_boxes(text, codec, HUNDRED)
    assert boxes == []
    assert [problem.kind for problem in problems] == [kind]
    answer = parse_answer(text, codec, HUNDRED)
    assert answer.status == "unparsable"
    assert answer.problems


@pytest.mark.parametrize("codec", NAMES)
@pytest.mark.parametrize(
    "text",
    ["", "There are 12 ships [1].", "Yes.", "12", "Built in 2019.", "The area is 30 (m2) {north}.", "[refer] a (b) c"],
)
def test_plain_text_has_no_boxes(codec, text) -> None:
    answer = parse_answer(text, codec, HUNDRED)
    assert (answer.status, answer.boxes, answer.problems) == ("no_boxes", (), ())


@pytest.mark.parametrize("codec", NAMES)
def test_reversed_corners_are_put_in_order_and_reported(codec) -> None:
    chosen = get_codec(codec)
    text = format_boxes([Box(10, 45, 30, 85)], codec, HUNDRED)
    low, high = {100.0: ("10", "30"), 1000.0: ("100", "300"), None: ("10", "30"), 8.0: ("1", "2")}.get(
        chosen.scale, ("0.1", "0.3")
    )
    if chosen.order == "centre":
        text = text.replace("<20><40>|", "<-20><40>|")
    else:
        text = text.replace(low, "TMP", 1).replace(high, low, 1).replace("TMP", high, 1)
    boxes, problems = read_boxes(text, codec, HUNDRED)
    assert "order" in [problem.kind for problem in problems]
    step_px = chosen.step_px(make_frame(chosen.frame, HUNDRED))[0]
    assert boxes[0].x_min == pytest.approx(10, abs=step_px)
    assert boxes[0].x_max == pytest.approx(30, abs=step_px)


def test_a_box_over_the_edge_is_kept_and_reported() -> None:
    answer = parse_answer("{<90><90><104><99>}", "geochat", HUNDRED)
    assert answer.status == "ok"
    assert answer.boxes[0].x_max == 104
    assert "over the scale" in answer.problems[0]


def test_one_good_box_among_broken_ones_is_read() -> None:
    answer = parse_answer("{<1><2><3>} and {<1><2><3><4>}", "geochat", HUNDRED)
    assert answer.status == "ok"
    assert len(answer.boxes) == 1
    assert len(answer.problems) == 1


def test_spans_point_at_the_text_of_the_box() -> None:
    text = "see <p>a ship</p> {<1><2><3><4>} there"
    box = parse_answer(text, "geochat", HUNDRED).boxes[0]
    assert text[slice(*box.span)] == "{<1><2><3><4>}"
    assert box.label == "a ship"


@pytest.mark.parametrize(
    ("codec", "text"),
    [
        ("geochat", "<p>ship</p> {<1><2><3><4>}. A tree {<5><6><7><8>}"),
        ("qwen_vl", "<ref>ship</ref><box>(1,2),(3,4)</box>, <box>(5,6),(7,8)</box>"),
        ("geoprose", "ship: [1 2 3 4]; [5 6 7 8]"),
    ],
)
def test_a_label_ends_where_other_text_begins(codec, text) -> None:
    assert [box.label for box in parse_answer(text, codec, THOUSAND).boxes] == ["ship", ""]


def test_words_of_a_sentence_are_not_a_house_label() -> None:
    assert parse_answer("The largest lake is at [1 2 3 4].", "geoprose", THOUSAND).boxes[0].label == ""


def test_absolute_pixels_need_the_resize_history() -> None:
    history = plan_resize(200, 100, "pad", 50)  # padded to 200x200, then quartered
    text = '[{"bbox_2d": [0, 13, 50, 37]}]'
    box = parse_answer(text, "qwen2_5_vl", history).boxes[0]
    assert (box.x_min, box.y_min, box.x_max, box.y_max) == (0, 2, 200, 98)


def test_numbers_over_the_padded_square_differ_from_numbers_over_the_chip() -> None:
    history = plan_resize(200, 100, "pad", 50)
    assert parse_answer("[0, 0.25, 1, 0.75]", "earthgpt", history).boxes[0] == Box(0, 0, 200, 100, span=(0, 18))
    assert parse_answer("[0, 0.25, 1, 0.75]", "unit", history).boxes[0] == Box(0, 25, 200, 75, span=(0, 18))


def test_a_rotated_box_is_refused_where_the_format_has_no_angle() -> None:
    box = Box(40, 45, 60, 55, angle_deg=30)
    with pytest.raises(DataError, match="rotated"):
        format_boxes([box], "qwen_vl", HUNDRED)
    hull = parse_answer(format_boxes([box], "qwen_vl", HUNDRED, rotated="hull"), "qwen_vl", HUNDRED).boxes[0]
    xs, ys = zip(*box_corners(box), strict=True)
    assert (hull.x_min, hull.y_min, hull.x_max, hull.y_max) == pytest.approx(
        (min(xs), min(ys), max(xs), max(ys)), abs=0.06
    )


@pytest.mark.parametrize("box", [Box(120, 10, 140, 20), Box(float("nan"), 0, 1, 1), Box(0, 0, float("inf"), 1)])
def test_a_box_that_cannot_be_written_is_refused(box) -> None:
    with pytest.raises(DataError):
        format_boxes([box], "geoprose", HUNDRED)


def test_an_axis_aligned_box_is_cut_to_the_picture_when_written() -> None:
    assert format_boxes([Box(-10, 50, 30, 120)], "geoprose", HUNDRED) == "[0 500 300 1000]"


def test_unknown_codec_lists_close_names() -> None:
    with pytest.raises(ConfigError, match="geochat"):
        parse_answer("", "geochatt", HUNDRED)


def test_a_picture_without_size_is_refused() -> None:
    with pytest.raises(ConfigError, match="positive size"):
        parse_answer("", "geochat", (0, 10))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("{<1><2><3><4>}", "geochat"), ("<box>(1,2),(3,4)</box>", "qwen_vl"), ("[1 2 3 4]", None), ("no", None)],
)
def test_only_unmistakable_formats_are_guessed(text, expected) -> None:
    assert guess_codec(text) == expected


# ------------------------------------------------------------------------------------------------ properties

WORDS = st.text("abcdefghij \u00e9", min_size=0, max_size=12).map(lambda text: " ".join(text.split()))


@st.composite
def histories(draw) -> ResizeHistory:
    width, height = draw(st.integers(16, 900)), draw(st.integers(16, 900))
    mode = draw(st.sampled_from(["resize", "pad", "center_crop"]))
    return plan_resize(width, height, mode, draw(st.integers(16, 900)))


@st.composite
def boxes_in_view(draw, codec: str, rotated: bool):
    """A picture and boxes inside the part of it that the format can speak of."""
    history = draw(histories())
    frame = make_frame(get_codec(codec).frame, history)
    left, top = frame.to_chip(0, 0)
    right, bottom = frame.to_chip(frame.width_px, frame.height_px)
    width, height = history.original_size_px
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    boxes = []
    for _ in range(draw(st.integers(1, 4))):
        unit = st.floats(0.02, 0.98)
        xs = sorted(left + (right - left) * draw(unit) for _ in range(2))
        ys = sorted(top + (bottom - top) * draw(unit) for _ in range(2))
        angle = draw(st.floats(-89.9, 90)) if rotated else 0.0
        box = Box(xs[0], ys[0], xs[1], ys[1], angle_deg=angle, label=draw(WORDS))
        corners = box_corners(box)
        if all(left <= x <= right and top <= y <= bottom for x, y in corners):
            boxes.append(box)
    return history, frame, boxes


def _tolerance(codec: str, frame, box: Box) -> float:
    """Rounding of the numbers by one step (two half steps for centre and size) and of the angle by half a degree."""
    step_x, step_y = get_codec(codec).step_px(frame)
    x0, y0 = frame.to_chip(0, 0)
    x1, y1 = frame.to_chip(step_x, step_y)
    reach = ((box.x_max - box.x_min) ** 2 + (box.y_max - box.y_min) ** 2) ** 0.5 / 2
    turned = 0.0088 * reach + ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5 if box.angle_deg else 0.0
    return max(abs(x1 - x0), abs(y1 - y0)) * 1.001 + turned + 1e-6


def _assert_same_boxes(codec: str, history, frame, boxes) -> None:
    text = format_boxes(boxes, codec, history)
    answer = parse_answer(text, codec, history)
    assert len(answer.boxes) == len(boxes), text
    has_labels = get_codec(codec).name not in {"unit", "earthgpt", "teochat", "vhm", "digits"}
    for box, read in zip(boxes, answer.boxes, strict=True):
        limit = _tolerance(codec, frame, box)
        for x, y in box_corners(box):
            nearest = min(max(abs(x - u), abs(y - v)) for u, v in box_corners(read))
            assert nearest <= limit, (text, box, read)
        if has_labels:
            assert read.label == box.label, text


@pytest.mark.parametrize("codec", NAMES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_axis_aligned_boxes_survive_the_round_trip(codec, data) -> None:
    history, frame, boxes = data.draw(boxes_in_view(codec, rotated=False))
    _assert_same_boxes(codec, history, frame, boxes)


@pytest.mark.parametrize("codec", [name for name in NAMES if get_codec(name).angle is not None])
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_rotated_boxes_survive_the_round_trip(codec, data) -> None:
    history, frame, boxes = data.draw(boxes_in_view(codec, rotated=True))
    _assert_same_boxes(codec, history, frame, boxes)


PIECES = r"""{< >< >} |< <delim> <p> </p> <ref> </ref> <box> </box> [[ ]] [ ] ( ) , { } "bbox_2d" "x_min" "label" : " \
; NaN inf 1e999 - . 12 0.5 99999999 <|box_start|> <|box_end|> null water:"""
SCRAPS = st.sampled_from([*PIECES.split(), " ", "\n", "\u0661", "\ud800"])


@pytest.mark.parametrize("codec", NAMES)
@settings(max_examples=80, deadline=None)
@given(text=st.one_of(st.text(max_size=80), st.lists(SCRAPS, max_size=30).map("".join)))
def test_arbitrary_text_never_raises(codec, text) -> None:
    answer = parse_answer(text, codec, (640, 480))
    assert answer.text == text
    assert (answer.status == "ok") == bool(answer.boxes)
    assert answer.status != "unparsable" or answer.problems
    for box in answer.boxes:
        assert box.x_min <= box.x_max
        assert box.y_min <= box.y_max
        assert 0 <= box.span[0] < box.span[1] <= len(text)


@pytest.mark.parametrize("codec", NAMES)
@pytest.mark.parametrize(
    "piece",
    ["[", "[[1, ", "{<1>", "{", '{"bbox_2d": ', '{"a', "<ref>", "<box>(", "(1,2),", "[1 ", "1 " * 50, " ", '"\\'],
)
def test_long_hostile_text_is_read_in_linear_time(codec, piece) -> None:
    text = piece * (100_000 // len(piece))
    start = time.process_time()
    parse_answer(text, codec, HUNDRED)
    assert time.process_time() - start < 2.0  # quadratic time would take minutes
