from __future__ import annotations

import sys

import pytest

from geoprose.core.errors import ConfigError
from geoprose.core.registry import Registry


def make_registry() -> Registry[type]:
    return Registry("connector", {"mlp": "collections:OrderedDict", "linear": "collections:Counter"})


def test_get_imports_the_target() -> None:
    from collections import OrderedDict

    assert make_registry().get("mlp") is OrderedDict


def test_unknown_name_lists_close_names_and_all_names() -> None:
    with pytest.raises(ConfigError, match=r"Unknown connector 'lineer'. Did you mean 'linear'\? Known: linear, mlp\."):
        make_registry().get("lineer")


def test_listing_imports_nothing() -> None:
    registry: Registry[object] = Registry("reader", {"far": "this_module_does_not_exist:Thing"})
    assert registry.names() == ["far"]
    assert "this_module_does_not_exist" not in sys.modules


def test_collision_is_refused_and_names_both() -> None:
    registry = make_registry()
    registry.register("mlp", "collections:OrderedDict")
    with pytest.raises(ConfigError, match=r"OrderedDict.*ChainMap"):
        registry.register("mlp", "collections:ChainMap")


def test_entry_points_extend_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    def fake_entry_points(group: str) -> list[EntryPoint]:
        return [EntryPoint("mine", "collections:deque", group)] if group == "geoprose.connectors" else []

    monkeypatch.setattr("geoprose.core.registry.entry_points", fake_entry_points)
    from collections import deque

    assert make_registry().get("mine") is deque
