"""Relative distances, which the language model counts by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.models.parts.contracts import Positions

if TYPE_CHECKING:
    from torch import Tensor

    from geoprose.models.inputs import TextInputs, Visuals


class Relative(Positions):
    """No ids: the language model learns a bias per distance between two tokens (T5, arXiv:1910.10683 section 2.1)."""

    def build(self, text: TextInputs, visuals: Visuals | None) -> Tensor | None:
        """Return None."""
        return None
