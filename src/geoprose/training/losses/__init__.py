"""Losses as pure functions, and the table that recipes name them from.

Imported by training only. Start at base.py (the contract), then lm.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.core.registry import Registry

if TYPE_CHECKING:
    from geoprose.training.losses.base import StageLoss

LOSSES: Registry[type[StageLoss]] = Registry(
    slot="loss",
    table={
        "lm": "geoprose.training.losses.lm:LmLoss",
        "lexical_alignment": "geoprose.training.losses.lexical_alignment:LexicalAlignmentLoss",
    },
)
