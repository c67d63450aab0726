"""The processor of a dense system: pictures of one or more dates to pixels, the prompts of the classes to tokens.

Shapes: N places, T dates, C channels, H W pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers import BatchFeature

from geoprose.core.errors import ProcessingError
from geoprose.processing.dual import DualEncoderProcessor

if TYPE_CHECKING:
    from collections.abc import Sequence


class DenseProcessor(DualEncoderProcessor):
    """Pictures, or one tuple of dates per place, to ``pixel_values``; prompts to ``input_ids``.

    Args:
        image_processor: Makes one tile of each picture.
        tokenizer: Adds the control tokens of the text tower itself.
        num_dates: Pictures per place.
        prompts: The prompts of the classes, used where a call gives none.
        **text_options: ``max_length``, ``padding``, ``use_mask`` and ``lowercase`` of ``DualEncoderProcessor``.
    """

    def __init__(
        self,
        image_processor: Any = None,
        tokenizer: Any = None,
        num_dates: int = 1,
        prompts: Sequence[str] = (),
        **text_options: Any,
    ) -> None:
        self.num_dates = num_dates
        self.prompts = list(prompts)
        super().__init__(image_processor, tokenizer, **text_options)

    def encode_images(self, images: Any) -> BatchFeature:
        """Return ``pixel_values``: (N, C, H, W), or (N, T, C, H, W) of tuples of dates, earliest first.

        Raises:
            ProcessingError: If a place has another number of dates.
        """
        if self.num_dates == 1:
            return super().encode_images(images)
        places = list(images)
        if not all(isinstance(place, list | tuple) and len(place) == self.num_dates for place in places):
            raise ProcessingError(f"Give one tuple of {self.num_dates} pictures per place, the earliest first.")
        pixels_MCHW = super().encode_images([picture for place in places for picture in place])["pixel_values"]
        return BatchFeature({"pixel_values": pixels_MCHW.unflatten(0, (len(places), self.num_dates))})

    def __call__(self, images: Any = None, text: Sequence[str] | None = None, **kwargs: Any) -> BatchFeature:
        """Return what the model's forward takes; without ``text`` the prompts of the preset are used."""
        return super().__call__(images, text if text is not None else self.prompts, **kwargs)
