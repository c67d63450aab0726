"""Qwen's released vocabulary (``qwen.tiktoken``: a word in base64 and its rank on each line) as a fast tokenizer."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from tokenizers import normalizers
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import TikTokenConverter

from geoprose.core.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

FILE = "qwen.tiktoken"
_CHAT = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", *(f"<|extra_{number}|>" for number in range(205)))
_MARKS = ("<ref>", "</ref>", "<box>", "</box>", "<quad>", "</quad>", "<img>", "</img>", "<imgpad>")
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class _Converter(TikTokenConverter):  # type: ignore[misc]  # transformers types none of it
    """transformers' converter without the package tiktoken, which only reads the file for it."""

    @staticmethod
    def load_tiktoken_bpe(tiktoken_url: str) -> dict[bytes, int]:
        """Return the rank of every word."""
        with open(tiktoken_url, "rb") as file:
            pairs = (line.split() for line in file if line.strip())
            return {base64.b64decode(word, validate=True): int(rank) for word, rank in pairs}


def qwen_tokenizer(folder: Path) -> Any:
    """Return the tokenizer of Qwen-VL: its words, the chat tokens, and the marks of pictures and boxes behind them.

    Raises:
        ModelError: If the file does not hold a word and a rank on each line.

    Source:
        tokenization_qwen.py of Qwen/Qwen-VL-Chat.
    """
    converter: Any = _Converter(str(folder / FILE), pattern=_WORDS, extra_special_tokens=[*_CHAT, *_MARKS])
    try:
        tokenizer = converter.converted()
    except (ValueError, binascii.Error) as error:
        raise ModelError(f"{folder / FILE} does not hold a word in base64 and a rank on each line: {error}") from error
    tokenizer.normalizer = normalizers.NFC()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=_CHAT[0], pad_token=_CHAT[0])
