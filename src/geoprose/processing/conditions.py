"""The instruction as a connector reads it: tokens of its own, one row per tile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import AutoTokenizer, BatchFeature

from geoprose.core.errors import ProcessingError
from geoprose.layout.visual import VisualLayout
from geoprose.processing.prompt import IMAGE_MARK

if TYPE_CHECKING:
    from collections.abc import Sequence

CONDITION_DIR = "condition_tokenizer"


class ReadsConditions:
    """Mixin of processors whose connector reads the instruction (InstructBLIP's Q-Former).

    Attributes:
        condition_tokenizer: Cuts the instruction into the connector's tokens; None where no connector reads it. Saved
            beside the processor in a folder of its own.
    """

    condition_tokenizer: Any = None

    def encode_conditions(self, texts: Sequence[str], tiles_per_text: Sequence[int]) -> BatchFeature:
        """Return ``condition_ids`` and ``condition_mask`` (N, Tq), padded on the right, one row per tile.

        Args:
            texts: Instruction of each row of the batch; ``<image>`` marks in it are dropped.
            tiles_per_text: Tiles of the pictures that belong to it.

        Raises:
            ProcessingError: If no connector reads instructions, or the numbers differ.
        """
        if self.condition_tokenizer is None:
            raise ProcessingError("The connector of this system reads no instruction, so none can be encoded for it.")
        if len(texts) != len(tiles_per_text):
            raise ProcessingError(f"Got {len(texts)} instructions but tiles of {len(tiles_per_text)}; give one each.")
        bare = [text.replace(IMAGE_MARK, "").strip() for text in texts]
        repeated = [text for text, tiles in zip(bare, tiles_per_text, strict=True) for _ in range(tiles)]
        rows = [self.condition_tokenizer(text)["input_ids"] for text in repeated]
        batch = self.condition_tokenizer.pad({"input_ids": rows}, padding_side="right", return_tensors="pt")
        return BatchFeature({"condition_ids": batch["input_ids"], "condition_mask": batch["attention_mask"]})

    def __call__(self, images: Any = None, text: Any = None, **kwargs: Any) -> BatchFeature:
        """Return what the processor makes of pictures and text, and the instruction of every tile beside it.

        The whole text is the instruction, as published: a call does not know which part of it the user wrote.
        """
        batch: BatchFeature = super().__call__(images=images, text=text, **kwargs)  # type: ignore[misc]
        if self.condition_tokenizer is None or images is None or text is None:
            return batch
        texts = [text] if isinstance(text, str) else list(text)
        tiles = iter([VisualLayout(*(int(value) for value in row)).num_tiles for row in batch["visual_layouts"]])
        counts = [sum(next(tiles) for _ in range(one.count(IMAGE_MARK))) for one in texts]
        batch.update(self.encode_conditions(texts, counts))
        return batch

    def save_pretrained(self, save_directory: Any, **kwargs: Any) -> Any:
        """Save the processor and, where it has one, the tokenizer of the instruction."""
        written = super().save_pretrained(save_directory, **kwargs)  # type: ignore[misc]  # a mixin of ProcessorMixin
        if self.condition_tokenizer is not None:
            self.condition_tokenizer.save_pretrained(Path(save_directory) / CONDITION_DIR)
        return written

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> Any:
        """Load a processor from a folder, with the tokenizer of the instruction where the folder has one."""
        processor: Any = super().from_pretrained(  # type: ignore[misc]  # a mixin of ProcessorMixin
            pretrained_model_name_or_path, *args, **kwargs
        )
        folder = Path(pretrained_model_name_or_path) / CONDITION_DIR
        if folder.is_dir():
            processor.condition_tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        return processor
