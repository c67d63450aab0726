"""The teacher of a recipe: loaded frozen, refused where its tokens are others."""

from __future__ import annotations

import copy
import logging
from typing import TYPE_CHECKING, Any

import pytest
import torch

from geoprose.core.errors import ConfigError, PresetError, ResourceError
from geoprose.systems.build import build_system
from geoprose.training import teacher as teachers
from geoprose.training.run import run_recipe
from geoprose.training.specs.teacher import TeacherSpec
from geoprose.training.teacher import check_pictures, check_tokenizers, different_tokens, load_teacher
from tests.fixtures.training import stage, write_recipe, write_tiny_data

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def student() -> Any:
    return build_system("demo", scale="tiny")


def test_a_teacher_is_frozen_and_silent_in_evaluation_mode(student: Any) -> None:
    teacher = load_teacher(TeacherSpec(system="demo", scale="tiny", seed=3, precision="bf16"), student)
    assert not teacher.model.training
    assert all(not p.requires_grad and p.dtype == torch.bfloat16 for p in teacher.model.parameters())
    assert load_teacher(None, student) is None


def test_a_missing_teacher_is_an_error(student: Any, tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="nowhere"):
        load_teacher(TeacherSpec(system=str(tmp_path / "nowhere")), student)
    with pytest.raises(PresetError, match="demo"):
        load_teacher(TeacherSpec(system="demos"), student)


def test_the_first_tokens_that_differ_are_listed() -> None:
    theirs, ours = {"a": 0, "b": 1, "c": 2}, {"a": 0, "c": 1, "b": 2, "d": 3}
    assert different_tokens(theirs, theirs) == []
    assert different_tokens(theirs, ours) == [
        "token 1 is 'b' for the teacher, 'c' for the student",
        "token 2 is 'c' for the teacher, 'b' for the student",
        "token 3 is absent for the teacher, 'd' for the student",
    ]


def test_another_tokenizer_is_refused(student: Any) -> None:
    other = copy.copy(student)
    other.processor = copy.copy(student.processor)
    other.processor.tokenizer = copy.deepcopy(student.processor.tokenizer)
    check_tokenizers(other, student)
    other.processor.tokenizer.add_tokens([f"<extra{number}>" for number in range(8)])
    with pytest.raises(
        ConfigError, match=r"do not share a tokenizer: token 262 is '<extra0>' for the teacher, absent.*3 more"
    ):
        check_tokenizers(other, student)


def test_the_same_words_cut_otherwise_are_refused(student: Any) -> None:
    from tokenizers import normalizers

    other = copy.copy(student)
    other.processor = copy.copy(student.processor)
    other.processor.tokenizer = copy.deepcopy(student.processor.tokenizer)
    other.processor.tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()
    with pytest.raises(ConfigError, match="the normalizer settings differ"):
        check_tokenizers(other, student)


def test_another_prompt_is_named(student: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="geoprose"):
        load_teacher(TeacherSpec(system="demo", scale="tiny"), student)
        assert caplog.text == ""
        changed = copy.copy(student)
        changed.spec = student.spec.model_copy(
            update={"prompt": student.spec.prompt.model_copy(update={"user_suffix": "!"})}
        )
        load_teacher(TeacherSpec(system="demo", scale="tiny"), changed)
    assert "prompt.user_suffix" in caplog.text


@pytest.mark.parametrize("name", ["internvl-2.5", "flamingo", "qwen2-vl"])
def test_pictures_of_several_tiles_are_refused_for_both(student: Any, name: str) -> None:
    other = build_system(name, scale="tiny")
    check_pictures(student, student)
    check_pictures(student)
    with pytest.raises(ConfigError, match=f"{name} cannot be a teacher: .*resolution fixed and packer flat"):
        check_pictures(other, student)
    with pytest.raises(ConfigError, match=f"{name} cannot be a student of one"):
        check_pictures(student, other)


def test_a_teacher_that_reads_the_question_is_refused(student: Any) -> None:
    other = build_system("instructblip-vicuna", scale="tiny")
    check_pictures(student, other)
    with pytest.raises(ConfigError, match="its connector reads the question"):
        check_pictures(other, student)


def test_a_tiled_student_is_refused_before_its_pictures_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture is missing, so a student that were let through would end in another error."""
    monkeypatch.setattr(teachers, "check_tokenizers", lambda teacher, student: None)
    write_tiny_data(tmp_path, 1)
    (tmp_path / "images" / "0.png").unlink()
    teacher = {"system": "demo", "scale": "tiny", "seed": 1}
    recipe = write_recipe(tmp_path, [stage(losses=[{"type": "kd_offline"}])], system="internvl-2.5", teacher=teacher)
    with pytest.raises(ConfigError, match=r"internvl-2\.5 cannot be a student of one"):
        run_recipe(recipe, out_dir=tmp_path / "run", data_dir=tmp_path)
