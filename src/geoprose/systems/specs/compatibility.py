"""Which parts fit each other: refused when a preset is read, with the reason, and not at the first picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Need:
    """A part that needs another slot to hold certain parts.

    Attributes:
        slot: Slot of the part.
        names: The parts that have the need.
        other: The slot that is restricted.
        allowed: What may stand there.
        reason: Why.
    """

    slot: str
    names: frozenset[str]
    other: str
    allowed: frozenset[str]
    reason: str

    def fault(self, parts: Mapping[str, str]) -> str | None:
        """Return what is wrong with these parts (slot to name), or None."""
        if parts[self.slot] not in self.names or parts[self.other] in self.allowed:
            return None
        return (
            f"{self.slot} {parts[self.slot]} does not go with {self.other} {parts[self.other]}: {self.reason}; "
            f"{self.other} may be {', '.join(sorted(self.allowed))}"
        )


def _need(slot: str, names: str, other: str, allowed: str, reason: str) -> Need:
    return Need(slot, frozenset(names.split()), other, frozenset(allowed.split()), reason)


_IN_SEQUENCE = "scatter token_ids visual_expert modality_moe"
_CROSS = "cross_attention_layers gated_cross_attention"
NEEDS = (
    _need("fusion", "token_ids", "connector", "vq_embed", "it puts token ids, not vectors, where the pictures stand"),
    _need("connector", "vq_embed", "fusion", "token_ids", "its tokens are ids of the vocabulary"),
    _need("connector", "vq_embed", "vision_encoder", "vq", "it reads codes of an image tokenizer"),
    _need("vision_encoder", "vq", "connector", "vq_embed", "its features are codes, numbers without an order"),
    _need("packer", "eol_rows", "connector", "vq_embed", "the end of a row is a token id"),
    _need("image_head", "token_codes", "connector", "vq_embed", "it writes codes as tokens of the vocabulary"),
    _need("fusion", _CROSS, "packer", "media", "one placeholder stands for a whole picture"),
    _need("packer", "media", "fusion", _CROSS, "its one placeholder has no room for visual tokens"),
    _need("packer", "phi3_hd", "connector", "separated_mlp", "it sets separators that come with that one's tiles"),
    _need("packer", "llava_next", "resolution", "anyres", "it expects the whole view first and the grid unpadded"),
    _need(
        "packer", "onevision", "resolution", "onevision", "it expects that one's order of views and its video frames"
    ),
    _need("packer", "phi3_hd", "resolution", "phi3_hd", "it expects that one's canvas and order of views"),
    _need("packer", "deepseek_vl2", "resolution", "candidate_tiles", "it expects the whole view first, then its grid"),
    _need("packer", "internvl", "resolution", "dynamic_tiles fixed", "it expects the whole view last"),
    _need("packer", "gated_views", "resolution", "views", "it pools a fixed number of views"),
    _need("position", "mrope shared v2pe", "fusion", _IN_SEQUENCE, "it counts visual tokens among the words"),
    _need("position", "relative", "fusion", "encoder_decoder_prefix", "it leaves positions to T5's relative bias"),
    _need("fusion", "encoder_decoder_prefix", "position", "relative", "T5 has no positions but its relative bias"),
)


def check_parts(parts: Mapping[str, str]) -> None:
    """Refuse parts that do not fit.

    Args:
        parts: Name of the part in each of resolution, vision_encoder, connector, packer, fusion, position and
            image_head.

    Raises:
        ValueError: Naming the two parts, the reason, and what would fit.
    """
    for need in NEEDS:
        fault = need.fault(parts)
        if fault is not None:
            raise ValueError(fault)
