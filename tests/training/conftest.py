"""A student and its teacher, which several files of distillation tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.fixtures.distillation import tiny_system, tiny_teacher

if TYPE_CHECKING:
    from geoprose.training.teacher import Teacher


@pytest.fixture(scope="module")
def student() -> Any:
    return tiny_system()


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    return tiny_teacher(layers=3, width=48)
