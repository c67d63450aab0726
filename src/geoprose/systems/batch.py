"""Pictures and questions to the inputs of a model, padded on the left: what generation and proofs start from."""

# B rows, T text length

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoprose.core.types import Message
from geoprose.processing.prompt import IMAGE_MARK
from geoprose.processing.visuals import Video

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from geoprose.systems.build import System

Row = tuple["Sequence[Any]", "str | Sequence[Message]"]
"""Pictures (PIL images, or ``Video``) and the question about them, or a conversation that marks them."""


def prepare_batch(system: System[Any], rows: Sequence[Row]) -> dict[str, Tensor]:
    """Return ``input_ids`` and ``attention_mask`` (B, T), pixels in the model's dtype, layouts and conditions.

    Args:
        system: Whose processor is used.
        rows: One per row of the batch. The pictures stand in front of a question, and at their marks in a conversation.

    Raises:
        ProcessingError: If a picture cannot be read, or a question holds a control token.
    """
    processor = system.processor
    prompts, tiles = [], []
    for pictures, question in rows:
        plans = processor.image_processor.plan_sample([_size(picture) for picture in pictures])
        messages: Sequence[Message] = [] if isinstance(question, str) else question
        if isinstance(question, str):
            marks = (IMAGE_MARK + processor.prompt_format.image_suffix) * len(pictures)
            messages = [Message("user", marks + question)]
        prompts.append(processor.encode_prompt(messages, [processor.image_segments(plan.layout) for plan in plans]))
        tiles.append(sum(plan.layout.num_tiles for plan in plans))
    batch: dict[str, Tensor] = dict(processor.pad_prompts(prompts))
    if any(pictures for pictures, _ in rows):
        batch |= processor.image_processor([list(pictures) for pictures, _ in rows], return_tensors="pt")
        if processor.condition_tokenizer is not None:
            instructions = [question if isinstance(question, str) else question[-1].text for _, question in rows]
            batch |= processor.encode_conditions(instructions, tiles)
    dtype = system.model.dtype
    return {name: value.to(dtype) if value.is_floating_point() else value for name, value in batch.items()}


def _size(visual: Any) -> tuple[int, ...]:
    """Return width and height of a picture; of a video also its number of frames."""
    if isinstance(visual, Video):
        return (*visual.frames[0].size, len(visual.frames))
    width, height = visual.size
    return width, height
