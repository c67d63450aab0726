"""Synonyms from a WordNet database, read as files; nothing of the package that carries them is run.

Source:
    wndb(5WN) and morphy(7WN) of Princeton WordNet; nltk.corpus.reader.wordnet for the order of the rules.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from geoprose.assets.cache import cache_root
from geoprose.assets.resolve import cached_dir, resolve
from geoprose.assets.specs import asset_spec
from geoprose.core.errors import AssetError

if TYPE_CHECKING:
    from pathlib import Path

ASSET = "wordnet"
"""Name in the table of assets."""
_PARTS = ("noun", "verb", "adj", "adv")
_RULES = {
    "noun": (
        *(("s", ""), ("ses", "s"), ("ves", "f"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh")),
        *(("men", "man"), ("ies", "y")),
    ),
    "verb": (*(("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),),
    "adj": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "adv": (),
}
_VERSION = re.compile(rb"WordNet (\d+\.\d+) Copyright")
_MARKER = re.compile(r"\([a-z]+\)$")  # place of an adjective: (a), (p), (ip)


class WordNet:
    """The words of the synsets a word belongs to.

    Args:
        folder: Folder with ``index.*``, ``data.*`` and ``*.exc`` of a WordNet database.

    Raises:
        AssetError: If a file is missing.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._index = {part: _read_index(folder / f"index.{part}") for part in _PARTS}
            # The packaged files have line ends of two bytes; the offsets count one.
            self._data = {part: (folder / f"data.{part}").read_bytes().replace(b"\r\n", b"\n") for part in _PARTS}
            self._exceptions = {part: _read_exceptions(folder / f"{part}.exc") for part in _PARTS}
        except OSError as error:
            raise AssetError(
                f"{folder} is not a WordNet database ({error}). It must hold index.*, data.* and *.exc of noun, verb, "
                "adj and adv."
            ) from error
        found = _VERSION.search(self._data["adj"][:4096])
        self.version = found.group(1).decode() if found else "unknown"
        self._known: dict[str, frozenset[str]] = {}

    def synonyms(self, word: str) -> frozenset[str]:
        """Return the single words of all synsets of ``word``, in the spelling of the database."""
        word = word.lower()
        if word not in self._known:
            self._known[word] = frozenset(
                name for part, offset in self.senses(word) for name in self._names(part, offset) if "_" not in name
            )
        return self._known[word]

    def senses(self, word: str) -> frozenset[tuple[str, int]]:
        """Return the synsets of ``word``, inflected or not: part of speech and place in its file."""
        word = word.lower()
        return frozenset(
            (part, offset)
            for part in _PARTS
            for form in self._base_forms(word, part)
            for offset in self._index[part][form]
        )

    def _base_forms(self, word: str, part: str) -> list[str]:
        """Return the forms under which the database lists an inflected word (morphy)."""
        index = self._index[part]
        exceptions = self._exceptions[part].get(word)
        forms = exceptions if exceptions is not None else _apply_rules(word, part)
        return list(dict.fromkeys(form for form in (word, *forms) if form in index))

    def _names(self, part: str, offset: int) -> list[str]:
        data = self._data[part]
        if data[offset : offset + 8] != f"{offset:08d}".encode():
            raise AssetError(
                f"data.{part} of WordNet {self.version} has no synset at byte {offset}, which its index names. The "
                "files do not belong together; take them from one release."
            )
        fields = data[offset : data.index(b"\n", offset)].decode("utf-8", errors="replace").split()
        count = int(fields[3], 16)
        return [_MARKER.sub("", name) for name in fields[4 : 4 + 2 * count : 2]]


def packaged_wordnet() -> WordNet:
    """Return the WordNet of the asset table, where it lies on this machine already: scoring downloads nothing.

    Raises:
        AssetError: If it is not there, or is damaged and cannot be had again.
    """
    spec = asset_spec(ASSET)
    if spec.override_variable not in os.environ and not cached_dir(spec, cache_root()).is_dir():
        raise AssetError(
            "METEOR's synonyms need WordNet, which is not in the asset cache. Run `geoprose doctor --fetch`, or set "
            f"{spec.override_variable} to a folder that holds its files."
        )
    return _read(resolve(ASSET))


@lru_cache(maxsize=1)
def _read(folder: Path) -> WordNet:
    return WordNet(folder)


def _read_index(path: Path) -> dict[str, tuple[int, ...]]:
    index = {}
    with path.open(encoding="utf-8") as handle:
        for line in handle:
            if line.startswith(" "):  # the licence at the head of the file
                continue
            fields = line.split()
            count = int(fields[2])
            index[fields[0]] = tuple(int(field) for field in fields[-count:])
    return index


def _read_exceptions(path: Path) -> dict[str, list[str]]:
    with path.open(encoding="utf-8") as handle:
        return {fields[0]: fields[1:] for line in handle if (fields := line.split())}


def _apply_rules(word: str, part: str) -> list[str]:
    return [word[: -len(old)] + new for old, new in _RULES[part] if word.endswith(old)]
