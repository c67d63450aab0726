"""How phi3_vision.json was made: the published code of Phi-3-Vision, small, float64, weights drawn from their names.

Run outside the test suite, with a folder that holds image_embedding_phi3_v.py and image_processing_phi3_v.py of
microsoft/Phi-3-vision-128k-instruct::

    python tests/parity/goldens/make_phi3_vision.py FOLDER > tests/parity/goldens/phi3_vision.json

The published code takes tiles of 336 px and 24 x 24 patches, so only widths and depths are small. It names its CLIP in
a constant, which is replaced by a narrow one; torchvision, of which it uses four functions, is replaced by the same
functions of Pillow. The language model is ``Phi3ForCausalLM`` of transformers, which the published class copies.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

sys.path.insert(0, str(Path(__file__).parent))
from seeded import seeded_tensor

NUM_CROPS = 4
PICTURES = ((500, 420), (130, 350), (700, 170))
"""Width and height: 2 x 2 tiles with padding above and below, two in a column, four in a row."""
PIXEL_STEP = 53
ROW_STEP = 11
CLIP = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
LANGUAGE = {
    "vocab_size": 64,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 131072,
    "original_max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
    "rope_parameters": {
        "rope_type": "longrope",
        "rope_theta": 10000.0,
        "short_factor": [1.05, 1.1, 1.25, 2.0],
        "long_factor": [1.03, 5.42, 30.01, 64.81],
    },
    "tie_word_embeddings": False,
    "pad_token_id": 0,
}
TEXT = (3, 5, 7, 11)
"""Token ids around the image."""
RENAMED = {
    "img_processor.": "model.vision_encoder.tower.",
    "img_projection.": "model.connector.layers.",
    "sub_GN": "model.connector.row_separator",
    "glb_GN": "model.connector.view_separator",
    "wte.": "model.language_model.embed_tokens.",
}


def picture(size: tuple[int, ...]) -> Image.Image:
    """Noise of a low resolution, drawn from the size, so that a filter of another kind shows."""
    small = seeded_tensor(f"picture {size}", (size[1] // 4, size[0] // 4, 3), std=60.0).numpy() + 128
    pixels = np.clip(np.round(small), 0, 255).astype(np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST)


def our_name(name: str) -> str:
    """Return the name of a published weight in geoprose."""
    for theirs, ours in RENAMED.items():
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    raise KeyError(name)


def fill(module: torch.nn.Module, rename: Any) -> None:
    """Draw every weight from its name in geoprose."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(seeded_tensor(rename(name), [parameter.numel()]).reshape(parameter.shape))


def _torchvision() -> ModuleType:
    def pad(picture: Image.Image, padding: list[int], fill: list[int]) -> Image.Image:
        left, top, right, bottom = padding
        return ImageOps.expand(picture, (left, top, right, bottom), tuple(fill))

    def to_tensor(picture: Image.Image) -> torch.Tensor:
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255

    def normalise(mean: list[float], std: list[float]) -> Any:
        return lambda pixels: (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]

    def compose(steps: list[Any]) -> Any:
        return lambda value: steps[1](steps[0](value))

    module = ModuleType("torchvision")
    functional = SimpleNamespace(
        pad=pad, resize=lambda picture, size: picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    )
    module.transforms = SimpleNamespace(  # type: ignore[attr-defined]
        functional=functional, Compose=compose, ToTensor=lambda: to_tensor, Normalize=normalise
    )
    return module


def _load(folder: str, name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, f"{folder}/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(folder: str) -> None:
    """Print the numbers."""
    from transformers import CLIPVisionConfig, Phi3Config, Phi3ForCausalLM

    sys.modules["torchvision"] = _torchvision()
    processor = _load(folder, "image_processing_phi3_v").Phi3VImageProcessor(num_crops=NUM_CROPS)
    embedding = _load(folder, "image_embedding_phi3_v")
    embedding.CLIP_VIT_LARGE_PATCH14_336_CONFIG = CLIPVisionConfig(image_size=336, patch_size=14, **CLIP)
    language = Phi3ForCausalLM(Phi3Config(**LANGUAGE)).double().eval()
    config = SimpleNamespace(
        hidden_size=LANGUAGE["hidden_size"],
        vocab_size=LANGUAGE["vocab_size"],
        _attn_implementation="sdpa",
        img_processor={
            "name": "clip_vision_model",
            "model_name": "openai/clip-vit-large-patch14-336",
            "image_dim_out": CLIP["hidden_size"],
            "num_img_tokens": 144,
        },
    )
    options = {"use_hd_transform": True, "with_learnable_separator": True, "hd_transform_order": "sub_glb"}
    embed = embedding.Phi3ImageEmbedding(config, wte=torch.nn.Embedding(64, 16), projection_cls="mlp", **options)
    embed = embed.double().eval()
    fill(language, lambda name: name.replace("model.", "model.language_model.", 1) if "lm_head" not in name else name)
    fill(embed, our_name)
    values = {
        "source": "microsoft/Phi-3-vision-128k-instruct, as copied in lamm-mit/Cephalo-Phi-3-Vision-MoE at 29fbb38",
        "made_by": "tests/parity/goldens/make_phi3_vision.py",
        "pictures": _run(processor, embed, language),
    }
    sys.stdout.write(json.dumps(values))


def _run(processor: Any, embed: Any, language: Any) -> list[dict[str, Any]]:
    results = []
    for size in PICTURES:
        inputs = processor.preprocess([picture(size)], return_tensors="pt")
        count = int(inputs["num_img_tokens"][0])
        tiles = int(inputs["image_sizes"].prod()) // 336**2 + 1
        ids = torch.tensor([[*TEXT[:2], *([-1] * count), *TEXT[2:]]])
        with torch.no_grad():
            embeds = embed(ids, inputs["pixel_values"].double(), inputs["image_sizes"])
            logits = language(inputs_embeds=embeds).logits[0, -1]
        pixels = inputs["pixel_values"][0, :tiles, :, ::PIXEL_STEP, ::PIXEL_STEP]
        results.append(
            {
                "size": size,
                "num_image_tokens": count,
                "tiles": tiles,
                "pixels": np.round(pixels.double().numpy(), 6).tolist(),
                "embeddings": np.round(embeds[0, 2:-2][::ROW_STEP].numpy(), 8).tolist(),
                "logits": logits.tolist(),
            }
        )
    return results


if __name__ == "__main__":
    main(sys.argv[1])
