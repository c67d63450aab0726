"""How qwen_vl.json was made: the published code of Qwen-VL-Chat, small, float64, weights drawn from their names.

Run outside the test suite, with a folder that is a package of the files modeling_qwen.py, configuration_qwen.py,
qwen_generation_utils.py and visual.py of Qwen/Qwen-VL-Chat::

    python tests/parity/goldens/make_qwen_vl.py FOLDER > tests/parity/goldens/qwen_vl.json

The published resampler has heads of 128 and 256 queries, so widths start at 256; pictures have the published 448 px.
torchvision and einops are replaced by the few functions of them that the code calls; one method that transformers 5
dropped (``get_head_mask``) is put back.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import json
import sys
import tempfile
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from seeded import seeded_tensor

IMAGE_START = 300
"""Token ids of ``<img>``, ``</img>`` and ``<imgpad>``, one after the other; paths are bytes, below 256."""
TEXT = (3, 270, 11)
VISUAL = {
    "image_size": 448,
    "patch_size": 14,
    "width": 32,
    "layers": 2,
    "heads": 2,
    "mlp_ratio": 4.9231,
    "output_dim": 256,
}
LANGUAGE = {
    "vocab_size": 320,
    "hidden_size": 256,
    "kv_channels": 128,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "intermediate_size": 192,
}
PICTURES = ((300, 200), (97, 511))
STD = 0.08
TOKEN_STEP = 37
CHANNEL_STEP = 5
FIXED = "attn_pool.pos_embed"
"""Computed by the published code, not learned."""


def picture(size: tuple[int, ...]) -> Image.Image:
    """Noise of a low resolution, drawn from the size."""
    small = seeded_tensor(f"picture {size}", (size[1] // 4, size[0] // 4, 3), std=60.0).numpy() + 128
    pixels = np.clip(np.round(small), 0, 255).astype(np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST)


def weight(name: str, shape: list[int]) -> torch.Tensor:
    """Draw a weight from its published name; norms vary around one."""
    noise = seeded_tensor(name, shape, std=STD)
    is_norm = name.endswith("weight") and any(part.startswith("ln_") for part in name.split("."))
    return noise + 1 if is_norm else noise


def _module(name: str, **members: Any) -> ModuleType:
    module = ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    for key, value in members.items():
        setattr(module, key, value)
    sys.modules[name] = module
    return module


def _stubs() -> None:
    def rearrange(x: torch.Tensor, pattern: str, **sizes: int) -> torch.Tensor:
        if pattern == "n d -> 1 n 1 d":
            return x[None, :, None]
        assert pattern == "... (j d) -> ... j d"
        return x.unflatten(-1, (sizes["j"], -1))

    def normalise(mean: Any, std: Any) -> Any:
        return lambda pixels: (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]

    def compose(steps: list[Any]) -> Any:
        def run(value: Any) -> Any:
            for step in steps:
                value = step(value)
            return value

        return run

    def resize(size: tuple[int, int], interpolation: Any) -> Any:
        return lambda image: image.resize((size[1], size[0]), interpolation)

    def to_tensor() -> Any:
        return lambda image: torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255

    _module("einops", rearrange=rearrange)
    bicubic = SimpleNamespace(BICUBIC=Image.Resampling.BICUBIC)
    transforms = _module(
        "torchvision.transforms", Compose=compose, Resize=resize, ToTensor=to_tensor, Normalize=normalise,
        InterpolationMode=bicubic,
    )  # fmt: skip
    _module("torchvision", transforms=transforms)


def main(folder: str) -> None:
    """Print the numbers."""
    importlib.import_module("transformers.image_utils")  # before the stub: it must not find a torchvision
    _stubs()
    torch.set_default_dtype(torch.float64)  # the published mask holds the smallest float of the model's dtype
    path = Path(folder).resolve()
    sys.path.insert(0, str(path.parent))
    modeling = importlib.import_module(f"{path.name}.modeling_qwen")
    configuration = importlib.import_module(f"{path.name}.configuration_qwen")
    modeling.QWenModel.get_head_mask = lambda self, mask, count: [None] * count
    config = configuration.QWenConfig(
        **LANGUAGE, visual={**VISUAL, "image_start_id": IMAGE_START}, fp32=True, seq_length=2048, no_bias=True,
        use_dynamic_ntk=True, use_logn_attn=True, use_flash_attn=False, use_cache=False,
    )  # fmt: skip
    model = modeling.QWenLMHeadModel(config).double().eval()
    shapes = {}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.endswith(FIXED):
                shapes[name] = list(parameter.shape)
                parameter.copy_(weight(name, shapes[name]))
        results = {"made_by": "tests/parity/goldens/make_qwen_vl.py", "weights": shapes, **_run(model)}
    sys.stdout.write(json.dumps(results) + "\n")


def _run(model: Any) -> dict[str, Any]:
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        runs = []
        for number, size in enumerate(PICTURES):
            path = f"{folder}/{number}.png"
            picture(size).save(path)
            tokens = model.transformer.visual.encode([path])
            block = [*path.encode(), *([IMAGE_START + 2] * (256 - len(path)))]
            runs.append([IMAGE_START, *block, IMAGE_START + 1, *TEXT])
            results.append({"size": size, "tokens": tokens[0, ::TOKEN_STEP, ::CHANNEL_STEP].tolist()})
        for run, result in zip(runs, results, strict=True):
            result["logits"] = model(torch.tensor([[TEXT[0], *run]])).logits[0, -2:].tolist()
        both = model(torch.tensor([[TEXT[0], *runs[0], *runs[1]]])).logits[0, -2:].tolist()
    return {"pictures": results, "both": both}


if __name__ == "__main__":
    main(sys.argv[1])
