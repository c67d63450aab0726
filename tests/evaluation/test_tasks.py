"""Tasks that extend other tasks, and what of a task the answers depend on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import ConfigError, PresetError
from geoprose.evaluation.tasks import list_tasks, load_task
from tests.fixtures.questions import colour_task

if TYPE_CHECKING:
    from pathlib import Path

BASE = """
name: base
title: Base
description: d
source: s
reader: {type: neutral}
prompt: {template: "Q: {question}"}
types: {scene: {metric: exact, chance: 1 of 3}, count: {metric: exact}}
"""


def test_a_task_states_only_its_difference(tmp_path: Path) -> None:
    (tmp_path / "_base.yaml").write_text(BASE)
    child = tmp_path / "child.yaml"
    child.write_text(
        "extends: _base\nname: child\ntitle: Child\nanswering: likelihood\ntypes: {scene: {chance: half}}\n"
    )
    task = load_task(child)
    assert (task.name, task.title, task.answering) == ("child", "Child", "likelihood")
    assert task.types["scene"].metric == "exact"
    assert task.types["scene"].chance == "half"
    assert set(task.types) == {"scene", "count"}
    assert task.prompt.template == "Q: {question}"
    (tmp_path / "grandchild.yaml").write_text("extends: child\nname: g\ntitle: G\n")
    assert load_task(tmp_path / "grandchild.yaml").answering == "likelihood"


def test_name_and_title_are_never_inherited(tmp_path: Path) -> None:
    (tmp_path / "_base.yaml").write_text(BASE)
    (tmp_path / "child.yaml").write_text("extends: _base\ntitle: Child\n")
    with pytest.raises(ConfigError, match="name: Field required"):
        load_task(tmp_path / "child.yaml")


def test_circles_and_unknown_parents_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: b\nname: a\ntitle: A\n")
    (tmp_path / "b.yaml").write_text("extends: a\nname: b\ntitle: B\n")
    with pytest.raises(PresetError, match="circle: a -> b -> a"):
        load_task(tmp_path / "a.yaml")
    (tmp_path / "c.yaml").write_text("extends: wrld\nname: c\ntitle: C\n")
    with pytest.raises(PresetError, match="Did you mean 'world'"):
        load_task(tmp_path / "c.yaml")


def test_bases_are_not_listed() -> None:
    assert not any(name.startswith("_") for name in list_tasks())


def test_answers_depend_on_the_prompt_and_not_on_the_words_of_the_report() -> None:
    task = colour_task()
    assert task.answering_part() == colour_task(title="Other", overall=("colour",)).answering_part()
    assert task.answering_part() != colour_task(max_new_tokens=5).answering_part()
    types = {name: spec.model_copy(update={"template": "Say {question}"}) for name, spec in task.types.items()}
    assert task.answering_part() != colour_task(types=types).answering_part()
