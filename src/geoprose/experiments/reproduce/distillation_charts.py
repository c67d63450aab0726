"""Drawings of the distillation: what each method gains, and which share of the teacher's lead that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.experiments.reproduce.charts import default_charts, interval_chart
from geoprose.experiments.reproduce.distillation_exam import COLUMNS, MEAN, TASK_FIGURES
from geoprose.experiments.reproduce.distillation_findings import gap_share
from geoprose.experiments.reproduce.distillation_methods import METHODS, PLAIN, TEACHER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from geoprose.experiments.reproduce.base import Arm
    from geoprose.experiments.reproduce.score_table import ScoreTable


def distillation_charts(arms: Sequence[Arm], table: ScoreTable) -> list[Markup]:
    """Draw gains and shares of the gap first, then every figure of every arm."""
    drawn = []
    for column in COLUMNS:
        if column.name not in (MEAN, *TASK_FIGURES) or not table.has(column.name, PLAIN):
            continue
        others = {arm.title: arm.name for arm in arms if arm.name in table.arms and arm.name != PLAIN}
        gains = {title: table.difference(name, PLAIN, column.name) for title, name in others.items()}
        drawn.append(interval_chart(f"Gain over plain: {column.title}", gains, "points", zero=True))
        methods = {title: name for title, name in others.items() if name in METHODS}
        shares = {title: gap_share(table, name, column.name) for title, name in methods.items()}
        known = {title: share for title, share in shares.items() if share is not None}
        if known and TEACHER in table.arms:
            title = f"Share of the teacher's lead that is closed: {column.title}"
            drawn.append(interval_chart(title, known, "percent of the lead", zero=True))
    return [*drawn, *default_charts(arms, COLUMNS, table)]
