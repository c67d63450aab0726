"""Write a picture: a prompt becomes codes of an image tokenizer, one after the other, and codes become pixels."""

# B prompts, T text length, D language-model width, K codes of the codebook, N pictures, H W rows and columns of codes

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from geoprose.core.errors import ConfigError, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from geoprose.systems.build import System
    from geoprose.systems.specs.heads import ImageHeadSpec


@dataclass(frozen=True)
class ImageSettings:
    """How to write a picture; None takes what the system's preset says.

    Attributes:
        rows: Codes along the height.
        columns: Codes along the width.
        guidance: Scale of classifier-free guidance: 1 for none, more to follow the prompt closer.
        temperature: 0 takes the likeliest code; more draws codes, 1 as the model scores them.
        top_k: Draw among this many likeliest codes.
        seed: Seed of what is drawn.
    """

    rows: int | None = None
    columns: int | None = None
    guidance: float | None = None
    temperature: float = 0.0
    top_k: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class GeneratedImage:
    """A picture that a system wrote.

    Attributes:
        picture: Its pixels; None where transformers has no decoder for the tokenizer.
        codes_HW: Its codes, row by row.
        token_ids: The same as the language model's tokens, row ends and end tokens included; empty for a head whose
            codes are no tokens.
    """

    picture: Image.Image | None
    codes_HW: Tensor
    token_ids: tuple[int, ...]


def generate_image(
    system: System, prompt: str, negative_prompt: str = "", settings: ImageSettings | None = None
) -> GeneratedImage:
    """Write one picture.

    Args:
        system: A system with an image head.
        prompt: What the picture should show.
        negative_prompt: What guidance leads away from, where the head works with one.
        settings: How to write it.

    Raises:
        ConfigError: If the system writes no pictures.
        InputError: If a setting is out of range, or the prompt is empty.
    """
    settings = settings or ImageSettings()
    spec, head = _head_of(system)
    grid = (settings.rows or spec.rows, settings.columns or spec.columns)
    guidance = spec.guidance if settings.guidance is None else settings.guidance
    _check(prompt, grid, guidance, settings)
    ids_BT, mask_BT = encode_image_prompts(system, [prompt], grid, negative_prompt if guidance != 1 else None)
    was_training = system.model.training
    system.model.eval()
    codes_NHW = write_codes(system.model, ids_BT, mask_BT, grid, guidance, settings)
    picture = _to_picture(system, head, codes_NHW) if _can_decode(system, head) else None
    system.model.train(was_training)
    return GeneratedImage(picture, codes_NHW[0].cpu(), tuple(_token_ids(system, spec, codes_NHW[0])))


@torch.inference_mode()
def write_codes(
    model: Any, ids_BT: Tensor, mask_BT: Tensor, grid: tuple[int, int], guidance: float, settings: ImageSettings
) -> Tensor:
    """Write the codes of pictures, several prompts together.

    With guidance each step scores codes with and without the prompt, ``s = u + guidance * (c - u)``, and both halves
    read the chosen code. Row ends are written without asking the model.

    Args:
        model: The composite.
        ids_BT: Prompts; with guidance the unconditional ones stand behind them, (2B, T).
        mask_BT: 1 for real tokens; padding stands on the left.
        grid: Rows and columns of codes.
        guidance: Scale; 1 for none.
        settings: Temperature, top_k and seed.

    Returns:
        Codes (B, H, W).

    Source:
        arXiv:2207.12598; ``JanusForConditionalGeneration.generate`` of transformers.
    """
    head = model.image_head
    rows, columns = grid
    row_end = head.row_end(model)
    generator = torch.Generator(device=ids_BT.device).manual_seed(settings.seed)
    mask_BT = mask_BT.to(model.device)
    outputs = model.model(input_ids=ids_BT.to(model.device), attention_mask=mask_BT, use_cache=True)
    codes: list[Tensor] = []
    for place in range(rows * columns):
        scores_BK = head.scores(model, outputs.last_hidden_state[:, -1]).float()
        if guidance != 1:
            conditional_BK, unconditional_BK = scores_BK.chunk(2)
            scores_BK = unconditional_BK + guidance * (conditional_BK - unconditional_BK)
        codes.append(_choose(scores_BK, settings, generator))
        if len(codes) == rows * columns:
            break
        read_B = torch.cat([codes[-1]] * (2 if guidance != 1 else 1))
        embeds_BTD = head.embed(model, read_B).unsqueeze(1)
        if row_end is not None and (place + 1) % columns == 0:
            end_BT = torch.full_like(read_B, row_end).unsqueeze(1)
            embeds_BTD = torch.cat([embeds_BTD, model.get_input_embeddings()(end_BT)], dim=1)
        mask_BT = torch.cat([mask_BT, mask_BT.new_ones(embeds_BTD.shape[:2])], dim=1)
        outputs = model.model(
            inputs_embeds=embeds_BTD,
            attention_mask=mask_BT,
            past_key_values=outputs.past_key_values,
            use_cache=True,
        )
    return torch.stack(codes, dim=1).reshape(-1, rows, columns)


def encode_image_prompts(
    system: System, prompts: Sequence[str], grid: tuple[int, int], negative_prompt: str | None = ""
) -> tuple[Tensor, Tensor]:
    """Return ids and attention mask of prompts, padded on the left; the unconditional ones stand behind them.

    Args:
        system: A system with an image head.
        prompts: What each picture should show.
        grid: Rows and columns of codes.
        negative_prompt: What guidance leads away from; None for prompts without an unconditional half.

    Raises:
        ConfigError: If the system writes no pictures.
    """
    spec, _ = _head_of(system)
    texts = [_text(system, spec, prompt, grid) for prompt in prompts]
    if negative_prompt is not None and spec.unconditional == "negative":
        texts += [_text(system, spec, negative_prompt, grid)] * len(prompts)
    tokenizer = system.processor.tokenizer
    batch = system.processor.pad_prompts([tokenizer.encode(text, add_special_tokens=False) for text in texts])
    ids_BT, mask_BT = batch["input_ids"], batch["attention_mask"]
    if negative_prompt is not None and spec.unconditional == "padded":
        kept = torch.tensor(tokenizer.convert_tokens_to_ids(list(spec.start)))
        padded_BT = torch.where(torch.isin(ids_BT, kept), ids_BT, tokenizer.pad_token_id)
        ids_BT, mask_BT = torch.cat([ids_BT, padded_BT]), torch.cat([mask_BT, mask_BT])
    return ids_BT, mask_BT


def _head_of(system: System) -> tuple[ImageHeadSpec, Any]:
    if system.spec.image_head is None:
        raise ConfigError(
            f"System {system.spec.name} writes no pictures: its preset has no image_head. Systems that do: chameleon, "
            "emu3, janus."
        )
    return system.spec.image_head, system.model.image_head


def _check(prompt: str, grid: tuple[int, int], guidance: float, settings: ImageSettings) -> None:
    if not prompt.strip():
        raise InputError("The prompt is empty; say what the picture should show.")
    if min(grid) < 1:
        raise InputError(f"A grid of {grid[0]}x{grid[1]} codes is no picture; give at least one row and one column.")
    is_top_k_wrong = settings.top_k is not None and settings.top_k < 1
    if guidance < 0 or settings.temperature < 0 or is_top_k_wrong:
        raise InputError(
            f"guidance ({guidance}) and temperature ({settings.temperature}) must be at least 0, and top_k "
            f"({settings.top_k}) at least 1."
        )


def _text(system: System, spec: ImageHeadSpec, prompt: str, grid: tuple[int, int]) -> str:
    text = spec.text.replace("{rows}", str(grid[0])).replace("{columns}", str(grid[1]))
    return str(system.spec.prompt.start) + text.replace("{prompt}", prompt)


def _choose(scores_BK: Tensor, settings: ImageSettings, generator: torch.Generator) -> Tensor:
    if settings.temperature == 0:
        return scores_BK.argmax(-1)
    scores_BK = scores_BK / settings.temperature
    if settings.top_k is not None:
        least_B1 = scores_BK.topk(min(settings.top_k, scores_BK.shape[-1])).values[:, -1:]
        scores_BK = scores_BK.masked_fill(scores_BK < least_B1, float("-inf"))
    return torch.multinomial(scores_BK.softmax(-1), 1, generator=generator).squeeze(-1)


def _can_decode(system: System, head: Any) -> bool:
    tower = getattr(head, "tower", None) or system.model.model.vision_encoder.tower
    return hasattr(tower, "decoder")


@torch.inference_mode()
def _to_picture(system: System, head: Any, codes_NHW: Tensor) -> Image.Image:
    pixels_CHW = head.decode(system.model, codes_NHW)[0].float().cpu().numpy()
    processor = system.processor.image_processor
    mean, std = (
        np.asarray(values, np.float32)[:, None, None] for values in (processor.image_mean, processor.image_std)
    )
    values = np.clip((pixels_CHW * std + mean) * 255, 0, 255).round().astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(values.transpose(1, 2, 0)))


def _token_ids(system: System, spec: ImageHeadSpec, codes_HW: Tensor) -> list[int]:
    if spec.type != "token_codes":
        return []
    model = system.model
    ids_HW = model.model.connector.table(codes_HW.device)[codes_HW]
    row_end = model.image_head.row_end(model)
    rows = ids_HW.tolist() if row_end is None else [[*row, row_end] for row in ids_HW.tolist()]
    ends: list[int] = system.processor.tokenizer.convert_tokens_to_ids(list(spec.end))
    return [token for row in rows for token in row] + ends
