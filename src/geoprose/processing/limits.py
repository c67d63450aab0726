"""What a language model can read in one go."""

from __future__ import annotations

from typing import Any

from geoprose.core.errors import ProcessingError


def check_length(num_tokens: int, tokenizer: Any) -> None:
    """Refuse a conversation that is longer than the language model's context.

    Args:
        num_tokens: Tokens with the image tokens of all pictures.
        tokenizer: Knows the context as ``model_max_length``.

    Raises:
        ProcessingError: If it is longer.
    """
    if num_tokens > tokenizer.model_max_length:
        raise ProcessingError(
            f"The conversation takes {num_tokens} tokens with its pictures, and the language model reads at most "
            f"{tokenizer.model_max_length}. Show fewer or smaller pictures, or shorten the text."
        )
