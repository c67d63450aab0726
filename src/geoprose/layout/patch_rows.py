"""Systems whose picture is rows of tokens that end with a mark: Fuyu's patches, Emu3's codes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.layout.resize import Pad, Resize, ResizeHistory, Step
from geoprose.layout.visual import PatchGroups, Plan, VisualLayout


@dataclass(frozen=True)
class FuyuPatchesResolution:
    """Keep the picture's size, shrink it only where it exceeds the limits, fill up the last row and column of patches.

    Attributes:
        image_size: Side of a patch, pixels; one patch is one token.
        max_width_px: Wider pictures are shrunk, keeping their shape.
        max_height_px: Higher pictures are shrunk, keeping their shape.

    Source:
        adept.ai/blog/fuyu-8b; ``FuyuImageProcessor`` of transformers, which fills with the value 1 of 255 before it
        scales, so that the rim is nearly black.
    """

    image_size: int = 30
    max_width_px: int = 1920
    max_height_px: int = 1080

    def __post_init__(self) -> None:
        """Refuse limits that hold no whole number of patches before the first picture comes."""
        if self.image_size < 1 or self.max_width_px % self.image_size or self.max_height_px % self.image_size:
            raise ConfigError(
                f"max_width_px {self.max_width_px} and max_height_px {self.max_height_px} must be multiples of the "
                f"patch side {self.image_size} px."
            )

    @property
    def patches(self) -> PatchGroups:
        """How the pixels are cut: each patch is a token of its own."""
        return PatchGroups(self.image_size)

    def plan(self, width_px: int, height_px: int) -> Plan:
        """Return the padded picture and its grid of patches.

        Raises:
            ProcessingError: If the picture has no pixels, or is so narrow that shrinking leaves none.
        """
        if width_px < 1 or height_px < 1:
            raise ProcessingError(f"A picture of {width_px}x{height_px} px has no pixels; give one of at least 1x1 px.")
        steps: list[Step] = []
        width, height = width_px, height_px
        if width_px > self.max_width_px or height_px > self.max_height_px:
            scale = min(self.max_height_px / height_px, self.max_width_px / width_px)
            width, height = int(width_px * scale), int(height_px * scale)
            if min(width, height) < 1:
                raise ProcessingError(
                    f"A picture of {width_px}x{height_px} px keeps no pixel along its short edge when it is shrunk to "
                    f"{self.max_width_px}x{self.max_height_px} px; crop it."
                )
            steps.append(Resize(width, height, width / width_px, height / height_px))
        columns, rows = math.ceil(width / self.image_size), math.ceil(height / self.image_size)
        size_px = (columns * self.image_size, rows * self.image_size)
        steps.append(Pad(0, 0, *size_px, fill="one"))
        whole = ResizeHistory((width_px, height_px), size_px, tuple(steps))
        layout = VisualLayout(rows=rows, columns=columns, height_px=height_px, width_px=width_px)
        return Plan(layout, (whole,), whole)


class RowsNewlineArrangement:
    """One run per row of patches; the prompt's ``image_row`` ends each (Fuyu's ``|NEWLINE|``)."""

    row_extra: ClassVar[int] = 0
    """Tokens of a run that show no part of the picture."""

    def segments(self, layout: VisualLayout, tokens_per_tile: int) -> tuple[int, ...]:
        """Return the tokens of each row, top to bottom."""
        return (layout.columns * tokens_per_tile,) * (layout.frames * layout.rows)


class EolRowsArrangement:
    """One run per row of codes, its end-of-line code among the image tokens (Emu3)."""

    row_extra: ClassVar[int] = 1

    def __init__(self, eol_token: str = "", eol_id: int = 0) -> None:
        """Take the packer's options; none changes the count."""

    def segments(self, layout: VisualLayout, tokens_per_tile: int) -> tuple[int, ...]:
        """Return the tokens of each row, the end of line counted."""
        return (layout.columns * tokens_per_tile + 1,) * (layout.frames * layout.rows)
