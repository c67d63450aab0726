"""The arithmetic of systems that cross-attend: one placeholder in the text for each visual, whatever its tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geoprose.layout.visual import VisualLayout


class MediaArrangement:
    """One image token per visual; the visual tokens themselves go to the cross-attention, not into the text.

    Args:
        slots: See ``geoprose.models.parts.packers.media.MediaPacker``; does not change the count.
    """

    def __init__(self, slots: int | None = None) -> None:
        self.slots = slots

    def segments(self, layout: VisualLayout, tokens_per_tile: int) -> tuple[int, ...]:
        """Return one run of one token."""
        return (1,)
