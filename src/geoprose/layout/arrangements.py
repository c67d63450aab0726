"""The arithmetic of packers: how many tokens a visual takes in the text, and where its rows end.

A packer of ``geoprose.models.parts.packers`` and an arrangement of the same name say the same; a property test holds
them equal. Processing counts with the arrangement, so text and pictures can be prepared without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from geoprose.core.registry import Registry, options_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geoprose.layout.visual import VisualLayout


class Arrangement(Protocol):
    """Counts the tokens of one visual; built from the packer's options."""

    def segments(self, layout: VisualLayout, tokens_per_tile: int) -> tuple[int, ...]:
        """Return the image tokens of each run between row tokens of the text; one run where there are none.

        Args:
            layout: The visual.
            tokens_per_tile: V, what the connector makes of one tile.
        """
        ...


def num_tokens(arrangement: Arrangement, layout: VisualLayout, tokens_per_tile: int) -> int:
    """Return the image tokens of one visual, row tokens of the text not counted."""
    return sum(arrangement.segments(layout, tokens_per_tile))


class FlatArrangement:
    """Tiles one after the other, nothing between them."""

    def segments(self, layout: VisualLayout, tokens_per_tile: int) -> tuple[int, ...]:
        """Return one run of all tokens of all tiles."""
        return (layout.num_tiles * tokens_per_tile,)


ARRANGEMENTS: Registry[type[Arrangement]] = Registry(
    slot="arrangement",
    table={
        "deepseek_vl2": "geoprose.layout.candidate_tiles:DeepseekVl2Arrangement",
        "eol_rows": "geoprose.layout.patch_rows:EolRowsArrangement",
        "flat": "geoprose.layout.arrangements:FlatArrangement",
        "gated_views": "geoprose.layout.views:GatedViewsArrangement",
        "internvl": "geoprose.layout.dynamic_tiles:InternvlArrangement",
        "llava_next": "geoprose.layout.anyres:LlavaNextArrangement",
        "media": "geoprose.layout.media:MediaArrangement",
        "onevision": "geoprose.layout.onevision:OnevisionArrangement",
        "phi3_hd": "geoprose.layout.phi3_hd:Phi3HdArrangement",
        "rows_newline": "geoprose.layout.patch_rows:RowsNewlineArrangement",
        "video": "geoprose.layout.video:VideoArrangement",
    },
)


def arrangement_of(packer: Mapping[str, Any]) -> Arrangement:
    """Return the arrangement of a packer ``{"type": name, **options}``.

    Raises:
        ConfigError: If there is none of that name.
    """
    return ARRANGEMENTS.get(packer["type"])(**options_of(packer))
