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
    """Return the places of a system of any kind, from its kind and the names in its slots."""
    slots: dict[str, str] = spec.slots()
    fusion = slots.get("fusion")
    if fusion is None:
        kind = "dual encoder" if spec.kind == "dual_encoder" else "task head"
        return Taxonomy(kind, "none", "late", "multi-branch")
    # A placeholder that stands for a whole picture means that the words ask for it by attention.
    asks = slots.get("packer") == "media"
    paradigm = "cross-modality attention" if asks else "unified embedding decoder"
    level = "feature level" if asks else "expert layers" if fusion in _DEEP else "token level"
    return Taxonomy(_kind(slots), paradigm, level, _alignment(spec))


def _kind(slots: dict[str, str]) -> str:
    if slots["vision_encoder"] in _BACKBONE_ENCODERS:
        return "one backbone"
    return "compression" if slots["connector"] in _COMPRESSING else "projection"


def _alignment(spec: Any) -> str:
    if "discrete" in spec.family:
        return "discrete tokens"
    return "single-branch" if "single-branch" in spec.family else "multi-branch"
