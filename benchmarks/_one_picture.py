"""What the benchmarks of many questions about one picture share: a system of published size with random weights."""

from __future__ import annotations

import random
from typing import Any

VOCABULARY = 49152
GAIN = 2.5
"""Standard deviation of a weight times the square root of its inputs."""
# Why untied: random tied weights repeat the last token of the prompt, and equal echoes prove little. The cost is the
# same: the head multiplies by as many numbers.
LANGUAGE = {
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": False,
}
TOWER = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "patch_size": 14,
}
# The prompt is the picture and the question: a byte tokenizer would make a long text of a short template.
PROMPT = dict.fromkeys(
    (
        "start",
        "default_system",
        "system_prefix",
        "system_suffix",
        "user_prefix",
        "user_suffix",
        "assistant_prefix",
        "assistant_lead",
        "image_suffix",
    ),
    "",
)
SIZES = {"language_model": LANGUAGE, "vision_encoder": TOWER, "image_size": 336, "vocabulary": VOCABULARY}


def build() -> tuple[Any, Any]:
    """Return our system and ``LlavaForConditionalGeneration`` with the same weights, float32."""
    import torch
    from transformers import LlamaConfig

    from geoprose.core.spec import merge
    from geoprose.systems.build import empty_composite
    from geoprose.systems.interop import REFERENCES
    from geoprose.systems.presets import load_preset
    from geoprose.systems.tiny import tiny_spec, tiny_tokenizer

    torch.set_num_threads(1)
    values = {
        "resolution": {"image_size": SIZES["image_size"]},
        "vision_encoder": {"config": TOWER},
        "language_model": {"config": LANGUAGE},
        "prompt": PROMPT,
    }
    preset = load_preset("llava-1.5")
    spec = tiny_spec(preset.model_copy(update={"tiny": merge(preset.tiny, values)}))
    tokenizer = tiny_tokenizer(spec.prompt)
    system = empty_composite(spec, tokenizer, LlamaConfig(vocab_size=VOCABULARY))
    fill(system.model)
    # The end of an answer would come by chance; all answers have the same length instead.
    never = sorted({system.model.config.image_token_id, *_stops(system)})
    system.model.generation_config.suppress_tokens = never
    theirs = REFERENCES.get(spec.reference)().build(system.model)
    theirs.generation_config.suppress_tokens = never
    theirs.generation_config.eos_token_id = None
    return system, theirs


def fill(model: Any) -> None:
    """Draw every weight so that every token of the prompt, and the picture, changes the answer."""
    import torch

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            is_norm = parameter.ndim < 2 and "norm" in name and name.endswith("weight")
            scale = GAIN / parameter.shape[-1] ** 0.5 if parameter.ndim > 1 else 0.02
            parameter.normal_(0.0, scale, generator=generator)
            if is_norm:
                parameter.add_(1.0)


def _stops(system: Any) -> set[int]:
    found = system.model.generation_config.eos_token_id
    return {system.processor.tokenizer.eos_token_id, *(found if isinstance(found, list) else [found])} - {None}


def picture(seed: int = 0) -> Any:
    """Return a picture of noise, 336 pixels wide and high."""
    import numpy as np
    from PIL import Image

    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (336, 336, 3), dtype=np.uint8))


def questions(count: int, shortest: int = 8, longest: int = 24) -> list[str]:
    """Return texts of so many characters, each a token of the byte tokenizer."""
    rng = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    return ["".join(rng.choice(letters) for _ in range(rng.randint(shortest, longest))) for _ in range(count)]


def spelled(_system: Any, token_ids: list[int]) -> str:
    """Write tokens as numbers: most of the vocabulary has no text here."""
    return " ".join(map(str, token_ids))
