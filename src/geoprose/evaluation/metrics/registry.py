"""The table of metrics; a task's YAML names one per question type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.core.registry import Registry

if TYPE_CHECKING:
    from geoprose.evaluation.metrics.base import Metric

METRICS: Registry[type[Metric]] = Registry(
    slot="metric",
    table={
        "exact": "geoprose.evaluation.metrics.exact:ExactMatch",
        "list_f1": "geoprose.evaluation.metrics.lists:ListF1",
        "box": "geoprose.evaluation.metrics.boxes:BoxAccuracy",
        "caption": "geoprose.evaluation.metrics.captions:CaptionMetrics",
    },
)
