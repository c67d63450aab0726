"""Several cameras that look at one moment: one visual, one tile per view, pooled into the tokens of one (EM-VLM4AD)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from geoprose.layout.resolutions import FixedResolution

if TYPE_CHECKING:
    from geoprose.layout.visual import Plan, VisualLayout


@dataclass(frozen=True)
class ViewsResolution(FixedResolution):
    """One square tile per view; the views of one moment are given as the frames of one video, a single one alone."""

    def plan_video(self, num_frames: int, width_px: int, height_px: int) -> Plan:
        """Return one tile for each of ``num_frames`` views of this size."""
        plan = self.plan(width_px, height_px)
        return replace(plan, layout=plan.layout._replace(frames=num_frames))


class GatedViewsArrangement:
    """As many tokens as one view has, however many views there are.

    Args:
        tokens_per_view: V that the gates are made for.
        hidden_size: Width of the gates; counts nothing.
    """

    def __init__(self, tokens_per_view: int = 49, hidden_size: int = 128) -> None:
        self.tokens_per_view = tokens_per_view

    def segments(self, layout: VisualLayout, tokens_per_tile: int) -> tuple[int, ...]:
        """Return one run of the tokens of one view."""
        return (tokens_per_tile,)
