"""Every reproduction that ``geoprose reproduce`` takes: one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.core.registry import Registry

if TYPE_CHECKING:
    from geoprose.experiments.reproduce.base import Reproduction

REPRODUCTIONS: Registry[type[Reproduction]] = Registry(
    slot="reproduction",
    table={
        "alignment": "geoprose.experiments.reproduce.alignment:AlignmentExperiment",
        "distillation": "geoprose.experiments.reproduce.distillation:Distillation",
        "fusion": "geoprose.experiments.reproduce.fusion:FusionExperiment",
        "scale": "geoprose.experiments.reproduce.scale:ScaleExperiment",
    },
)
