"""Qwen's vocabulary file, against a merge loop written out here."""

import base64
from itertools import pairwise

import pytest

from geoprose.core.errors import ModelError
from geoprose.systems.interop.qwen_tokenizer import FILE, qwen_tokenizer
from geoprose.systems.interop.qwen_vl import QwenVlLayout

WORDS = [bytes([value]) for value in range(256)] + [b"in", b" t", b"ing", b"he", b" the", b"\xc3\xa9", b"ngs", b" 1"]


@pytest.fixture
def folder(tmp_path):
    lines = [f"{base64.b64encode(word).decode()} {rank}" for rank, word in enumerate(WORDS)]
    (tmp_path / FILE).write_text("\n".join(lines) + "\n")
    return tmp_path


def _merged(word):
    """Join the neighbours whose union has the lowest rank until none has one."""
    ranks = {known: rank for rank, known in enumerate(WORDS)}
    parts = [bytes([value]) for value in word]
    while True:
        pairs = [(ranks[a + b], i) for i, (a, b) in enumerate(pairwise(parts)) if a + b in ranks]
        if not pairs:
            return [ranks[part] for part in parts]
        _, place = min(pairs)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]


@pytest.mark.parametrize("words", [["sing"], ["things"], ["at", " the", " inn"], ["caf\u00e9"], ["a", " ", "1", "1"]])
def test_words_are_merged_by_rank(folder, words):
    ids = qwen_tokenizer(folder)("".join(words))["input_ids"]
    assert ids == [number for word in words for number in _merged(word.encode())]
    assert qwen_tokenizer(folder).decode(ids) == "".join(words)


def test_composed_and_decomposed_letters_are_the_same(folder):
    tokenizer = qwen_tokenizer(folder)
    assert tokenizer("e\u0301")["input_ids"] == tokenizer("\u00e9")["input_ids"] == [WORDS.index(b"\xc3\xa9")]


def test_marks_stand_where_the_release_has_them(folder):
    """With the published 151643 words, ``<img>`` is 151857: config.json says so."""
    tokenizer, count = qwen_tokenizer(folder), len(WORDS)
    assert tokenizer.convert_tokens_to_ids("<img>") - count == 151857 - 151643
    assert tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|im_end|>", "<imgpad>"]) == [
        count,
        count + 2,
        count + 216,
    ]
    assert tokenizer("<img><imgpad></img>")["input_ids"] == [count + 214, count + 216, count + 215]


def test_a_damaged_file_is_named(folder):
    (folder / FILE).write_text("no words here\n")
    with pytest.raises(ModelError, match="word in base64"):
        qwen_tokenizer(folder)


def test_a_converted_tokenizer_comes_first(folder, tmp_path):
    assert QwenVlLayout().tokenizer(folder) is not None
    (folder / "tokenizer.json").write_text("{}")
    assert QwenVlLayout().tokenizer(folder) is None
