"""The processor of a dual encoder: pictures to pixels, texts to tokens, each on its own.

Shapes: N pictures, C channels, H W pixels, B texts, T tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers import BatchFeature
from transformers.processing_utils import ProcessorMixin

from geoprose.core.errors import ProcessingError

if TYPE_CHECKING:
    from collections.abc import Sequence


class DualEncoderProcessor(ProcessorMixin):  # type: ignore[misc]  # transformers is untyped
    """Pictures to ``pixel_values``, texts to ``input_ids`` and, where the tower reads it, ``attention_mask``.

    Args:
        image_processor: Makes one tile of each picture.
        tokenizer: Adds the control tokens of the text tower itself.
        max_length: Tokens kept of a text.
        padding: ``longest`` or ``max_length``.
        use_mask: Whether the text tower reads an attention mask.
        lowercase: Lower-case texts first.
    """

    def __init__(
        self,
        image_processor: Any = None,
        tokenizer: Any = None,
        max_length: int = 77,
        padding: str = "longest",
        use_mask: bool = True,
        lowercase: bool = False,
    ) -> None:
        self.max_length = max_length
        self.padding = padding
        self.use_mask = use_mask
        self.lowercase = lowercase
        super().__init__(image_processor, tokenizer)

    def encode_images(self, images: Any) -> BatchFeature:
        """Return ``pixel_values`` (N, C, H, W)."""
        return BatchFeature({"pixel_values": self.image_processor(images, return_tensors="pt")["pixel_values"]})

    def encode_texts(self, texts: Sequence[str]) -> BatchFeature:
        """Return ``input_ids`` (B, T), and ``attention_mask`` where it is read.

        Raises:
            ProcessingError: If there is no text, or one is empty.
        """
        if isinstance(texts, str) or not texts or not all(text.strip() for text in texts):
            raise ProcessingError("Give a list of texts, none of them empty.")
        prepared = [text.lower() for text in texts] if self.lowercase else list(texts)
        encoded = self.tokenizer(
            prepared, padding=self.padding, truncation=True, max_length=self.max_length, return_tensors="pt"
        )
        names = ("input_ids", "attention_mask") if self.use_mask else ("input_ids",)
        return BatchFeature({name: encoded[name] for name in names})

    def __call__(self, images: Any = None, text: Sequence[str] | None = None, **kwargs: Any) -> BatchFeature:
        """Return what the model's forward takes; ``**kwargs`` are ignored.

        Raises:
            ProcessingError: If neither pictures nor texts are given.
        """
        if images is None and text is None:
            raise ProcessingError("Give pictures, texts or both.")
        values = {} if images is None else dict(self.encode_images(images))
        return BatchFeature(values if text is None else {**values, **self.encode_texts(text)})
