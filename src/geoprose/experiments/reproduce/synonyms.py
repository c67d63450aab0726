"""The METEOR of the experiments reads WordNet, and scoring downloads nothing: it is fetched before anything trains."""

from __future__ import annotations

from geoprose.assets.resolve import resolve

METEOR = "meteor-wordnet"
"""Variant of the captioning protocol that asks WordNet for synonyms."""


def fetch_synonyms(meteor: str) -> None:
    """Have WordNet here if this variant of METEOR reads it, rather than miss it after an hour of training.

    Raises:
        AssetError: If it cannot be had.
    """
    if meteor == METEOR:
        resolve("wordnet")
