"""Published numbers: complete provenance, sums that hold, and the ones that do not are noticed."""

from __future__ import annotations

import pytest

from geoprose.core.errors import ConfigError, PresetError
from geoprose.core.spec import validate
from geoprose.evaluation.protocols import load_protocol
from geoprose.evaluation.reference_numbers import (
    ReferenceSource,
    all_numbers,
    inconsistencies,
    list_references,
    load_reference,
    numbers_of,
)
from geoprose.evaluation.tasks import load_task


def _flagged(name: str) -> set[tuple[str, str]]:
    return {(one.system, one.column) for one in inconsistencies(load_reference(name))}


def test_every_source_says_where_it_was_read() -> None:
    assert {"brief-004", "vrsbench-readme", "rs5m-readme", "geobench-vlm", "rsvg-disputed"} <= set(list_references())
    for name in list_references():
        source = load_reference(name)
        assert source.name == name
        assert len(source.provenance) > 20
        assert source.read
        for column in source.columns.values():
            assert column.protocol


def test_the_mean_over_questions_reproduces_the_tables_of_the_brief() -> None:
    source = load_reference("brief-004")
    for values in source.systems.values():
        if "lr_moa" in values:
            parts = values["lr_presence"] * 2955 + values["lr_comparison"] * 4002 + values["lr_rural_urban"] * 100
            assert parts / 7057 == pytest.approx(values["lr_moa"], abs=0.04)
            hr = 0.440 * values["hr_presence"] + 0.560 * values["hr_comparison"]
            assert hr == pytest.approx(values["hr_moa"], abs=0.01)
    macro = {
        name: sum(values[key] for key in ("lr_presence", "lr_comparison", "lr_rural_urban")) / 3
        for name, values in source.systems.items()
    }
    # The mean over types misses by points, so the check above is no accident.
    assert max(abs(macro[name] - source.systems[name]["lr_moa"]) for name in macro) > 4


def test_what_does_not_follow_is_flagged() -> None:
    assert _flagged("brief-004") == {("GeoChat-7B", "ucm_aa")}
    assert _flagged("vrsbench-readme") == {
        ("GeoChat without fine-tuning", "vqa_all"),
        ("GPT-4V", "vqa_all"),
        ("Mini-Gemini", "vqa_all"),
    }
    for name in ("rs5m-readme", "vrsbench-readme-first", "geobench-vlm", "rsvg-disputed"):
        assert _flagged(name) == set()


def test_disputed_numbers_carry_the_reason() -> None:
    found = {(number.source.name, number.system): number for number in all_numbers() if number.disputed}
    plus_one = found["rsvg-disputed", "LHRS-Bot, authors' predictions, one added to the sides"]
    assert plus_one.value == 85.36
    assert "11.91" in plus_one.disputed
    misfit = found["brief-004", "GeoChat-7B"]
    assert "84.43" in misfit.disputed
    trusted = [number for number in numbers_of(load_reference("brief-004")) if number.system == "Distilled GeoChat-7B"]
    assert all(not number.disputed for number in trusted)


def test_fractions_become_percent() -> None:
    numbers = {number.system: number for number in numbers_of(load_reference("geobench-vlm"))}
    assert numbers["LLaVA-OneVision"].percent == 41.7
    assert numbers["GPT-4o"].percent in (pytest.approx(0.9), pytest.approx(3.9))


def test_our_figures_exist() -> None:
    for number in all_numbers():
        ours = number.column.ours
        for name in ours.tasks if ours else ():
            assert ours is not None
            task = load_task(name)
            assert not ours.type or task.other or ours.type in task.types, (name, ours.type)
            if ours.variant:
                protocols = {kind.protocol for kind in [*task.types.values(), *([task.other] if task.other else [])]}
                assert any(ours.variant in load_protocol(protocol).variants for protocol in protocols), ours


def _source(**changes: object) -> dict[str, object]:
    column = {"data_set": "A", "metric": "OA", "protocol": "p"}
    return {
        "name": "x", "title": "X", "provenance": "somewhere, table 1", "read": "read",
        "columns": {"a": column, "b": column}, "systems": {"s": {"a": 50.0, "b": 40.0}}, **changes,
    }  # fmt: skip


def test_a_wrong_source_is_refused() -> None:
    with pytest.raises(ConfigError, match="columns does not define c"):
        validate(ReferenceSource, _source(systems={"s": {"c": 1.0}}), "x.yaml")
    with pytest.raises(ConfigError, match="which systems does not have"):
        validate(ReferenceSource, _source(disputes=[{"columns": ["a"], "systems": ["t"], "reason": "r"}]), "x.yaml")
    with pytest.raises(PresetError, match="brief-004"):
        load_reference("brief-04")


def test_a_check_compares_with_the_weighted_mean() -> None:
    check = {"column": "a", "weights": {"b": 3}, "tolerance": 0.5, "reason": "they are equal"}
    source = validate(ReferenceSource, _source(checks=[check]), "x.yaml")
    (misfit,) = inconsistencies(source)
    assert (misfit.printed, misfit.expected) == (50.0, 40.0)
    assert "they are equal" in next(numbers_of(source)).disputed
