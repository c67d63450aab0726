"""The table of diagnostics; `geoprose diagnose` takes a name of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.core.registry import Registry

if TYPE_CHECKING:
    from geoprose.evaluation.diagnostics.base import Diagnostic

DIAGNOSTICS: Registry[type[Diagnostic]] = Registry(
    slot="diagnostic",
    table={
        "attention": "geoprose.evaluation.diagnostics.attention:AttentionOnRegions",
        "corruption": "geoprose.evaluation.diagnostics.corruption:CorruptionRobustness",
        "cross-domain": "geoprose.evaluation.diagnostics.cross_domain:CrossDomain",
        "frontier": "geoprose.evaluation.diagnostics.frontier:ComputeFrontier",
        "gsd": "geoprose.evaluation.diagnostics.gsd:GsdCurve",
        "hallucination-by-size": "geoprose.evaluation.diagnostics.by_size:HallucinationBySize",
        "human": "geoprose.evaluation.diagnostics.human:HumanCorrelation",
        "reliance": "geoprose.evaluation.diagnostics.reliance:VisualReliance",
        "retrieval-collapse": "geoprose.evaluation.diagnostics.collapse:RetrievalCollapse",
    },
)
