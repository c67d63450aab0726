"""Where a system stands in the taxonomies of the field, read from its slots.

The taxonomies are those of the surveys behind the project's brief. *Kind*: projection (every patch becomes a token
through a small network), compression (a fixed number of queries reads the picture), one backbone (no pretrained
encoder: patches or codes go straight into the decoder), dual encoder, task head. *Paradigm*: unified embedding decoder
(visual tokens stand among the words) or cross-modality attention (words ask, the picture answers). *Alignment*: one
branch per modality, one shared branch behind a bound space, or discrete tokens of the vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_COMPRESSING = {"qformer", "perceiver", "xattn_resampler_2d"}
_BACKBONE_ENCODERS = {"patch_linear", "vq"}
_ASKING = {"gated_cross_attention", "mllama_cross_attention"}
_DEEP = {"visual_expert", "modality_moe"}


@dataclass(frozen=True)
class Taxonomy:
    """The places of one system.

    Attributes:
        kind: ``projection``, ``compression``, ``one backbone``, ``dual encoder`` or ``task head``.
        paradigm: ``unified embedding decoder``, ``cross-modality attention`` or ``none`` (no language model answers).
        fusion: Where the two meet: ``token level``, ``feature level``, ``expert layers`` or ``late`` (only a score).
        alignment: ``multi-branch``, ``single-branch`` or ``discrete tokens``.
    """

    kind: str
    paradigm: str
    fusion: str
    alignment: str


def classify(spec: Any) -> Taxonomy:
    """Return the places of a system of any kind, from the names in its slots."""
    slots: dict[str, str] = spec.slots()
    fusion, connector = slots.get("fusion"), slots.get("connector", "")
    encoder = slots.get("vision_encoder", "")
    if fusion is None:
        kind = "dual encoder" if "text_encoder" in slots or "text_tower" in slots else "task head"
        return Taxonomy(kind, "none", "late", "multi-branch")
    if encoder in _BACKBONE_ENCODERS:
        kind = "one backbone"
    else:
        kind = "compression" if connector in _COMPRESSING else "projection"
    paradigm = "cross-modality attention" if fusion in _ASKING else "unified embedding decoder"
    level = "feature level" if fusion in _ASKING else "expert layers" if fusion in _DEEP else "token level"
    return Taxonomy(kind, paradigm, level, _alignment(spec, fusion, encoder))


def _alignment(spec: Any, fusion: str, encoder: str) -> str:
    if fusion == "token_ids" or encoder == "vq":
        return "discrete tokens"
    branches = getattr(spec, "branches", None)
    is_shared = bool(branches) and "single" in spec.family
    return "single-branch" if is_shared else "multi-branch"
