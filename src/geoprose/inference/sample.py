"""Draw several answers to one question, the same ones for the same seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from geoprose.core.errors import InputError
from geoprose.inference.features import open_picture
from geoprose.inference.shared_prefix import messages_of
from geoprose.systems.batch import prepare_batch

if TYPE_CHECKING:
    from geoprose.inference.generate import Request
    from geoprose.systems.build import System


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn.

    Attributes:
        num_answers: Answers to a question.
        temperature: Divides the logits; towards 0 the likeliest answer, above 1 more variety.
        top_p: Share of the probability that tokens are drawn from.
        max_new_tokens: Longest answer.
    """

    num_answers: int = 8
    temperature: float = 1.0
    top_p: float = 1.0
    max_new_tokens: int = 48


@torch.inference_mode()
def sample_answers(system: System[Any], request: Request, sampling: Sampling, seed: int) -> list[str]:
    """Return answers to one question, without special tokens, stripped; equal ones may repeat.

    Args:
        system: Model and processor.
        request: Pictures and question.
        sampling: How answers are drawn.
        seed: All randomness; the global generators are left as they were.

    Raises:
        InputError: If a number of ``sampling`` is out of range.
    """
    if sampling.num_answers < 1 or sampling.temperature <= 0 or not 0 < sampling.top_p <= 1:
        raise InputError(f"Cannot draw answers by {sampling}: num_answers >= 1, temperature > 0, 0 < top_p <= 1.")
    model, processor = system.model, system.processor
    pictures = [open_picture(image) for image in request.images]
    inputs = prepare_batch(system, [(pictures, messages_of(system, request))])
    inputs = {name: value.to(model.device) for name, value in inputs.items()}
    banned = {model.config.image_token_id, processor.mark_id, *(model.generation_config.suppress_tokens or ())}
    was_training = model.training
    model.eval()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        ids_BT = model.generate(
            **inputs,
            do_sample=True,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=0,
            num_return_sequences=sampling.num_answers,
            max_new_tokens=sampling.max_new_tokens,
            suppress_tokens=sorted(banned),
        )
    model.train(was_training)
    behind = 1 if model.config.is_encoder_decoder else inputs["input_ids"].shape[1]
    return [str(text).strip() for text in processor.batch_decode(ids_BT[:, behind:], skip_special_tokens=True)]
