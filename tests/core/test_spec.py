from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import Field

from geoprose.core.errors import ConfigError
from geoprose.core.spec import Spec, apply_overrides, merge, read_yaml, validate

if TYPE_CHECKING:
    from pathlib import Path


class Inner(Spec):
    learning_rate: float = 1e-3


class Outer(Spec):
    name: str
    stages: list[Inner] = Field(default_factory=list)


def test_misspelt_key_names_the_close_one() -> None:
    with pytest.raises(ConfigError, match=r"stages\.0\.lerning_rate: unknown key\. Did you mean learning_rate\?"):
        validate(Outer, {"name": "x", "stages": [{"lerning_rate": 1}]}, "recipe.yaml")


def test_wrong_type_names_the_path() -> None:
    with pytest.raises(ConfigError, match=r"recipe\.yaml is not a valid Outer:\n  stages\.0\.learning_rate"):
        validate(Outer, {"name": "x", "stages": [{"learning_rate": "fast"}]}, "recipe.yaml")


def test_hash_depends_on_values_only() -> None:
    a = validate(Outer, {"name": "x", "stages": [{"learning_rate": 0.5}]}, "a")
    b = validate(Outer, {"stages": [{"learning_rate": 0.5}], "name": "x"}, "b")
    c = validate(Outer, {"name": "x", "stages": [{"learning_rate": 0.25}]}, "c")
    assert a.content_hash() == b.content_hash() != c.content_hash()


def test_merge_keeps_siblings_and_replaces_lists() -> None:
    base = {"a": {"x": 1, "y": 2}, "b": [1, 2]}
    assert merge(base, {"a": {"y": 3}, "b": [4]}) == {"a": {"x": 1, "y": 3}, "b": [4]}
    assert base == {"a": {"x": 1, "y": 2}, "b": [1, 2]}


def test_merge_with_another_type_replaces_the_whole_mapping() -> None:
    base = {"connector": {"type": "mlp", "depth": 2}}
    assert merge(base, {"connector": {"type": "linear"}}) == {"connector": {"type": "linear"}}


def test_overrides_reach_into_lists_and_read_yaml_values() -> None:
    values = {"stages": [{"learning_rate": 1e-3}]}
    changed = apply_overrides(values, ["stages.0.learning_rate=1.0e-4", "name=demo", "extra.deep=[1, 2]"])
    assert changed == {"stages": [{"learning_rate": 1e-4}], "name": "demo", "extra": {"deep": [1, 2]}}
    assert values == {"stages": [{"learning_rate": 1e-3}]}


@pytest.mark.parametrize("override", ["no-separator", "=1", "stages.3.learning_rate=1", "stages.x=1", "name.deep=1"])
def test_bad_override_is_refused(override: str) -> None:
    with pytest.raises(ConfigError, match="Override"):
        apply_overrides({"name": "x", "stages": [{}]}, [override])


def test_yaml_tags_and_aliases_are_refused(tmp_path: Path) -> None:
    for text in ("a: !!python/object/apply:os.system ['true']\n", "a: &x [1]\nb: *x\n", "- 1\n", "a: [\n"):
        path = tmp_path / "spec.yaml"
        path.write_text(text)
        with pytest.raises(ConfigError, match=r"spec\.yaml"):
            read_yaml(path)


def test_missing_or_huge_yaml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        read_yaml(tmp_path / "none.yaml")
    (tmp_path / "big.yaml").write_text("a: " + "x" * 1_000_001)
    with pytest.raises(ConfigError, match="larger than"):
        read_yaml(tmp_path / "big.yaml")
