"""What every loss of a recipe states."""

from __future__ import annotations

from typing import ClassVar

from pydantic import PositiveFloat

from geoprose.core.spec import Spec


class BaseLossSpec(Spec):
    """One loss of a stage; the subclass says which."""

    needs_teacher: ClassVar[bool] = False
    """Whether a recipe that names the loss must name a teacher."""

    type: str
    weight: PositiveFloat = 1.0

    @property
    def label(self) -> str:
        """Name in logs and checkpoints."""
        return self.type
