"""The teacher of a distillation."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeInt

from geoprose.core.spec import Spec
from geoprose.core.spec_paths import NameOrPlace
from geoprose.training.specs.schedule import Precision


class TeacherSpec(Spec):
    """A frozen system that shares the student's tokenizer."""

    system: NameOrPlace
    """System preset or directory."""
    scale: Literal["full", "tiny"] = "full"
    seed: NonNegativeInt = 0
    """Seed of the random weights of a tiny teacher."""
    precision: Precision = "fp32"
    """Number format of its weights."""
