"""The table of layouts, and how a file's layout is told from its first records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.core.errors import TaskError
from geoprose.core.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.evaluation.layouts.base import Layout, Record

LAYOUTS: Registry[Layout] = Registry(
    slot="layout",
    table={
        "geoprose": "geoprose.evaluation.layouts.plain:GEOPROSE",
        "geochat": "geoprose.evaluation.layouts.geochat:GEOCHAT",
        "earthdial": "geoprose.evaluation.layouts.earthdial:EARTHDIAL",
        "vrsbench": "geoprose.evaluation.layouts.vrsbench:VRSBENCH",
        "lhrs": "geoprose.evaluation.layouts.lhrs:LHRS",
        "vhm": "geoprose.evaluation.layouts.vhm:VHM",
        "qwen": "geoprose.evaluation.layouts.qwen:QWEN",
        "internvl": "geoprose.evaluation.layouts.internvl:INTERNVL",
        "llava": "geoprose.evaluation.layouts.llava:LLAVA",
        "lmms-eval": "geoprose.evaluation.layouts.lmms_eval:LMMS_EVAL",
        "vlmevalkit": "geoprose.evaluation.layouts.vlmevalkit:VLMEVALKIT",
        "plain": "geoprose.evaluation.layouts.plain:PLAIN",
    },
)

TOTALS = frozenset({"Overall", "Accuracy", "Hit", "Total", "overall", "Final Score"})
"""Columns of tables of scores, which somebody may give in place of the answers."""


def list_layouts() -> list[Layout]:
    """Return every layout, by name."""
    return [LAYOUTS.get(name) for name in LAYOUTS.names()]


def sniff_layout(records: Sequence[Record], where: str) -> Layout:
    """Return the layout whose keys fit every one of the first records of a file best.

    Args:
        records: The first records.
        where: Name of the file, for the message of an error.

    Raises:
        TaskError: If no layout fits.
    """
    ranked = sorted(
        (
            (min(layout.match(record) for record in records), layout.name != "plain", layout)
            for layout in list_layouts()
        ),
        key=lambda entry: entry[:2],
        reverse=True,
    )
    if not records or ranked[0][0] == 0:
        keys = sorted({key for record in records for key in record})
        if TOTALS.intersection(keys):
            raise TaskError(
                f"{where} holds totals and no answers, so nothing can be scored. Give the file of the answers: "
                "VLMEvalKit's MODEL_DATASET.xlsx, not its _acc.csv or _score.csv; lmms-eval's *_samples_TASK.jsonl."
            )
        raise TaskError(
            f"{where} is of no layout that is known; its records have the keys {', '.join(keys[:20]) or 'none'}. "
            "Name the columns id, prediction and reference, or see `geoprose score --list-layouts`."
        )
    return ranked[0][2]
