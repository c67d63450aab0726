"""METEOR without Java: by hand, against nltk's values, over a miniature WordNet, and through the Java program."""

from __future__ import annotations

import random
import shutil
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from geoprose.core.errors import AssetError, ResourceError
from geoprose.evaluation.metrics.base import Item
from geoprose.evaluation.metrics.text import meteor_java
from geoprose.evaluation.metrics.text.meteor import align, meteor
from geoprose.evaluation.metrics.text.meteor_java import meteor_15, spice
from geoprose.evaluation.metrics.text.wordnet import WordNet, packaged_wordnet
from geoprose.evaluation.protocols import load_protocol
from tests.fixtures.captions import VECTORS

if TYPE_CHECKING:
    from pathlib import Path

SYNONYMS = {word: frozenset(names) for word, names in VECTORS["synonyms"].items()}
needs_java = pytest.mark.skipif(
    shutil.which("java") is None or find_spec("pycocoevalcap") is None, reason="needs java and pycocoevalcap"
)


def synonyms(word: str) -> frozenset[str]:
    return SYNONYMS.get(word, frozenset())


def words(texts: list[str]) -> list[list[str]]:
    from geoprose.data.sentences.tokens import tokenise_caption

    return [tokenise_caption(text) for text in texts]


def test_by_hand() -> None:
    # three of four and of five words match, in two runs: P 3/4, R 3/5, F = P R / (0.9 P + 0.1 R), penalty (2/3)^3 / 2
    score = meteor(["a", "red", "car", "there"], [["a", "red", "big", "car", "here"]])
    assert score == pytest.approx(0.45 / (0.675 + 0.06) * (1 - 0.5 * (2 / 3) ** 3))
    assert meteor(["x"], [["y"]]) == meteor([], [["y"]]) == meteor(["x"], [[]]) == 0.0


def test_stages_and_order() -> None:
    assert align(["cars", "the", "the"], ["the", "car"]) == [(0, 1), (2, 0)]  # by stem; the last "the" first
    assert align(["boat"], ["ship"]) == []
    assert align(["boat"], ["ship"], {"boat": ["ship"]}.get) == [(0, 0)]


@pytest.mark.parametrize(("key", "source"), [("meteor_nltk", synonyms), ("meteor_nltk_no_synonyms", None)])
def test_values_of_nltk(key: str, source: Any) -> None:
    rows = zip(words(VECTORS["candidates"]), VECTORS["references"], strict=True)
    assert [meteor(own, words(refs), source) for own, refs in rows] == pytest.approx(VECTORS[key], abs=1e-12)


class _Entry:
    """Synset and lemma in one, as far as nltk's METEOR asks."""

    def __init__(self, name: str) -> None:
        self._name = name

    def name(self) -> str:
        return self._name

    def lemmas(self) -> list[_Entry]:
        return [self]


def test_nltk_agrees_on_random_words() -> None:
    meteor_score = pytest.importorskip("nltk.translate.meteor_score").meteor_score
    draw = random.Random(0)
    vocabulary = ["shop", "store", "shops", "road", "roads", "the", "a", "wood", "forest", "auto", "car", "big"]
    known = {"shop": ["store"], "forest": ["wood", "the_woods"], "auto": ["car"], "car": ["auto"], "store": ["shop"]}

    class Thesaurus:
        def synsets(self, word: str) -> list[_Entry]:
            return [_Entry(name) for name in known.get(word, [])]

    def names(word: str) -> list[str]:
        return [name for name in known.get(word, []) if "_" not in name]

    for _ in range(300):
        own, *others = (draw.choices(vocabulary, k=draw.randint(0, 10)) for _ in range(3))
        assert meteor(own, others, names) == pytest.approx(meteor_score(others, own, wordnet=Thesaurus()), abs=1e-12)


def test_synonyms_raise_the_score() -> None:
    assert sum(VECTORS["meteor_nltk"]) > sum(VECTORS["meteor_nltk_no_synonyms"])


@pytest.fixture
def wordnet_dir(tmp_path: Path) -> Path:
    """A WordNet of two noun synsets in the format of wndb, with line ends of two bytes as the packaged files have."""
    head = "  1 WordNet 9.9 Copyright by us\n"
    rows, offsets = "", []
    for names in (("boat", "ship", "water_craft"), ("man", "Human(p)")):
        offset = len(head) + len(rows)
        offsets.append(offset)
        listed = " ".join(f"{name} 0" for name in names)
        rows += f"{offset:08d} 06 n {len(names):02x} {listed} 000 | a gloss\n"
    index = f"boat n 1 0 1 0 {offsets[0]:08d}  \nman n 1 0 1 0 {offsets[1]:08d}  \nship n 1 0 1 0 {offsets[0]:08d}  \n"
    contents = {"data.noun": head + rows, "index.noun": head + index, "noun.exc": "men man\n"}
    for part in ("noun", "verb", "adj", "adv"):
        for name in (f"data.{part}", f"index.{part}", f"{part}.exc"):
            text = contents.get(name, "" if name.endswith("exc") else head)
            (tmp_path / name).write_bytes(text.replace("\n", "\r\n").encode())
    return tmp_path


def test_a_wordnet_is_read_from_its_files(wordnet_dir: Path) -> None:
    wordnet = WordNet(wordnet_dir)
    assert wordnet.version == "9.9"
    assert wordnet.synonyms("boats") == {"boat", "ship"}  # the rule of -s; no words joined by an underscore
    assert wordnet.synonyms("men") == {"man", "Human"}  # the exception; the adjective's mark cut off
    assert wordnet.synonyms("tree") == frozenset()
    assert wordnet.senses("boats") == wordnet.senses("boat") != frozenset()
    assert wordnet.senses("tree") == frozenset()


def test_files_that_do_not_belong_together_are_refused(wordnet_dir: Path) -> None:
    path = wordnet_dir / "data.noun"
    path.write_bytes(b" " + path.read_bytes())
    with pytest.raises(AssetError, match="do not belong together"):
        WordNet(wordnet_dir).synonyms("boat")
    path.unlink()
    with pytest.raises(AssetError, match="is not a WordNet database"):
        WordNet(wordnet_dir)


def test_scoring_never_downloads_wordnet() -> None:
    with pytest.raises(AssetError, match="geoprose doctor --fetch"):
        packaged_wordnet()


@needs_java
@pytest.mark.slow
def test_meteor_15_of_the_java_program() -> None:
    joined = [[" ".join(own) for own in words(refs)] for refs in VECTORS["references"]]
    corpus, items = meteor_15(VECTORS["tokens"], joined)
    assert corpus == pytest.approx(VECTORS["meteor_15"]["corpus"], abs=1e-12)
    assert items == pytest.approx(VECTORS["meteor_15"]["items"], abs=1e-12)
    assert meteor_15(["", "trees"], [["trees"], ["trees"]])[1][0] == 0.0


@needs_java
@pytest.mark.slow
def test_meteor_15_on_word_numbers_misses_other_words_for_the_same() -> None:
    items = [
        Item("1", "a roofed house stands by the forest", ("a house with a roof is standing by the woods",)),
        Item("2", "a large store with many cars", ("a big shop with several automobiles",)),
    ]
    on_words, on_ids = (
        load_protocol("captioning").metric(variant).judge(items) for variant in ("meteor-1.5", "meteor-1.5-on-ids")
    )
    assert on_ids.corpus["meteor_15"] < 0.8 * on_words.corpus["meteor_15"]


def test_what_java_needs_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meteor_java, "find_spec", lambda _: None)
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/java")
    with pytest.raises(ResourceError, match="needs the package pycocoevalcap"):
        meteor_15(["a"], [["a"]])
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(ResourceError, match="SPICE needs Java"):
        spice(["a"], [["a"]])
