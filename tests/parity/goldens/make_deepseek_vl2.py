"""How deepseek_vl2.json was made: the published code of DeepSeek-VL2, small, float64, weights drawn from their names.

Run outside the test suite with transformers 4.38.2 and einops, from the root of deepseek-ai/DeepSeek-VL2::

    python tests/parity/goldens/make_deepseek_vl2.py FOLDER > tests/parity/goldens/deepseek_vl2.json

Only stand-ins: timm's patch embedding (a convolution) and MLP, xformers' attention (torch's), and torchvision's
``ToTensor`` and ``Normalize``. Tiling, vision tower, connector, packing and language model are the published code.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent))
from seeded import seeded_tensor

IMAGE_SIZE = 72
"""Five patches of 14 px along an edge, two pixels left over; padded to six patches and merged to three tokens."""
MAX_TILES = 4
SAMPLES = (((150, 60),), ((70, 190), (80, 75)), ((150, 60), (40, 90), (33, 20)))
"""Pictures of each sample, width and height: a row of tiles, two pictures of several tiles, three without tiling."""
IMAGE_TOKEN = 63
TEXT = (3, 5, 7, 11)
"""Token ids around the pictures of a sample."""
PIXEL_STEP = 17
ROW_STEP = 3
TOWER = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
LANGUAGE = {
    "vocab_size": 64,
    "hidden_size": 16,
    "intermediate_size": 32,
    "moe_intermediate_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "n_shared_experts": 1,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "kv_lora_rank": 8,
    "q_lora_rank": None,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "v_head_dim": 6,
}
BLOCK = {
    "norm1": "layer_norm1",
    "norm2": "layer_norm2",
    "attn.proj": "self_attn.out_proj",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
RENAMED = {
    "image_newline": "model.packer.newline",
    "view_seperator": "model.packer.view_separator",
    "projector.layers.": "model.connector.layers.",
    "vision.patch_embed.proj.": "model.vision_encoder.tower.embeddings.patch_embedding.",
    "vision.pos_embed": "model.vision_encoder.tower.embeddings.position_embedding.weight",
    "vision.norm.": "model.vision_encoder.tower.post_layernorm.",
    "language.model.": "model.language_model.",
    "language.lm_head.": "lm_head.",
}


def picture(size: tuple[int, ...]) -> Image.Image:
    """Noise of a low resolution, drawn from the size, so that a filter of another kind shows."""
    small = seeded_tensor(f"picture {size}", (size[1] // 4, size[0] // 4, 3), std=60.0).numpy() + 128
    pixels = np.clip(np.round(small), 0, 255).astype(np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST)


def published_weight(name: str, shape: torch.Size) -> Tensor:
    """Draw a published weight from the name of ours that holds it."""
    block = re.fullmatch(r"vision\.blocks\.(\d+)\.(.+)\.(weight|bias)", name)
    if block:
        ours = f"model.vision_encoder.tower.encoder.layers.{block[1]}."
        if block[2] != "attn.qkv":
            return seeded_tensor(f"{ours}{BLOCK[block[2]]}.{block[3]}", shape)
        part = (shape[0] // 3, *shape[1:])
        return torch.cat([seeded_tensor(f"{ours}self_attn.{key}_proj.{block[3]}", part) for key in "qkv"])
    expert = re.fullmatch(r"language\.model\.(layers\.\d+\.mlp\.experts)\.(\d+)\.(gate|up|down)_proj\.weight", name)
    if expert:
        ours, index = f"model.language_model.{expert[1]}.", int(expert[2])
        count = LANGUAGE["n_routed_experts"]
        if expert[3] == "down":
            return seeded_tensor(ours + "down_proj", (count, *shape))[index]
        both = seeded_tensor(ours + "gate_up_proj", (count, 2 * shape[0], shape[1]))[index]
        return both.chunk(2)[("gate", "up").index(expert[3])]
    for theirs, ours in RENAMED.items():
        if name.startswith(theirs):
            return seeded_tensor(ours + name.removeprefix(theirs), shape[-2:] if "pos_embed" in name else shape)
    raise KeyError(name)


class _PatchEmbed(nn.Module):
    def __init__(self, img_size: int, patch_size: int, in_chans: int, embed_dim: int, **options: Any) -> None:
        super().__init__()
        self.num_patches = (img_size // patch_size) ** 2
        self.proj = nn.Conv2d(in_chans, embed_dim, patch_size, stride=patch_size)

    def forward(self, pixels: Tensor) -> Tensor:
        patches: Tensor = self.proj(pixels)
        return patches.flatten(2).transpose(1, 2)


class _Mlp(nn.Module):
    def __init__(self, in_features: int, hidden_features: int, act_layer: Any, drop: float = 0.0) -> None:
        super().__init__()
        self.fc1, self.act, self.fc2 = (
            nn.Linear(in_features, hidden_features),
            act_layer(),
            nn.Linear(hidden_features, in_features),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fc2(self.act(self.fc1(x)))
        return y


class _Unused(nn.Module):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__()


def _attention(q: Tensor, k: Tensor, v: Tensor, p: float = 0.0) -> Tensor:
    return F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)).transpose(1, 2)


def _module(name: str, **members: Any) -> None:
    module = ModuleType(name)
    module.__dict__.update(members)
    sys.modules[name] = module


def _stand_ins() -> None:
    _module("attrdict", AttrDict=dict)
    _module("timm")
    _module(
        "timm.layers",
        PatchEmbed=_PatchEmbed,
        Mlp=_Mlp,
        DropPath=_Unused,
        AttentionPoolLatent=_Unused,
        PatchDropout=_Unused,
        resample_abs_pos_embed=None,
        LayerType=Any,
    )
    _module("timm.models")
    _module("timm.models._manipulate", named_apply=None, checkpoint_seq=None, adapt_input_conv=None)
    _module("xformers")
    _module("xformers.ops", memory_efficient_attention=_attention)

    def to_tensor(image: Image.Image) -> Tensor:
        return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255

    def normalise(mean: Any, std: Any) -> Any:
        return lambda pixels: (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]

    transforms = SimpleNamespace(
        ToTensor=lambda: to_tensor, Normalize=normalise, Compose=lambda steps: lambda image: steps[1](steps[0](image))
    )
    _module("torchvision", transforms=transforms)
    _module("torchvision.transforms", **transforms.__dict__)


def _grids() -> list[tuple[int, int]]:
    return [(1, 1), (1, 2), (2, 1), (1, 3), (3, 1), (1, 4), (4, 1), (2, 2)]


def main(folder: str) -> None:
    """Print the numbers."""
    import transformers.modeling_utils  # noqa: F401 - looks for timm, so it comes before the stand-ins

    _stand_ins()
    _module("deepseek_vl2")
    sys.modules["deepseek_vl2"].__path__ = [f"{folder}/deepseek_vl2"]
    _module("deepseek_vl2.models")
    sys.modules["deepseek_vl2.models"].__path__ = [f"{folder}/deepseek_vl2/models"]
    from deepseek_vl2.models import modeling_deepseek_vl_v2 as modeling  # type: ignore[import-not-found]
    from deepseek_vl2.models import processing_deepseek_vl_v2 as processing

    config = modeling.DeepseekVLV2Config(
        tile_tag="2D",
        global_view_pos="head",
        vision_config={
            "image_size": IMAGE_SIZE,
            "patch_size": 14,
            "width": TOWER["hidden_size"],
            "layers": TOWER["num_hidden_layers"],
            "heads": TOWER["num_attention_heads"],
            "mlp_ratio": 2,
        },
        projector_config={"input_dim": TOWER["hidden_size"], "n_embed": LANGUAGE["hidden_size"]},
        language_config={**LANGUAGE, "first_k_dense_replace": 1, "topk_method": "greedy", "rms_norm_eps": 1e-6},
        candidate_resolutions=[(columns * IMAGE_SIZE, rows * IMAGE_SIZE) for columns, rows in _grids()],
    )
    config.language_config._attn_implementation = "eager"
    model = modeling.DeepseekVLV2ForCausalLM(config).double().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(published_weight(name, parameter.shape).reshape(parameter.shape))
    values = {
        "source": "deepseek-ai/DeepSeek-VL2 at ef9f91e",
        "made_by": "tests/parity/goldens/make_deepseek_vl2.py",
        "samples": [_run(model, processing, config, sizes) for sizes in SAMPLES],
    }
    sys.stdout.write(json.dumps(values))


def _run(model: Any, processing: Any, config: Any, sizes: Any) -> dict[str, Any]:
    processor = SimpleNamespace(
        image_token="<image>",
        image_token_id=IMAGE_TOKEN,
        encode=lambda text, bos, eos: [int(word) for word in text.split()],
        candidate_resolutions=config.candidate_resolutions,
        image_size=IMAGE_SIZE,
        patch_size=14,
        downsample_ratio=2,
        image_transform=processing.ImageTransform(),
    )
    text = f"{TEXT[0]} {TEXT[1]} " + "<image>" * len(sizes) + f" {TEXT[2]} {TEXT[3]}"
    ids, tiles, mask, crops, counts = processing.DeepseekVLV2Processor.tokenize_with_images(
        processor, text, [picture(size) for size in sizes], bos=False, eos=False, cropping=len(sizes) <= 2
    )
    pixels = torch.stack(tiles)
    with torch.no_grad():
        embeds = model.prepare_inputs_embeds(
            torch.tensor([ids]), pixels.double()[None], torch.tensor([mask]), torch.tensor([crops])
        )
        # Its mask has the default dtype, which must hold the smallest number of the model's.
        torch.set_default_dtype(torch.float64)
        logits = model.language(
            inputs_embeds=embeds, attention_mask=torch.ones(1, len(ids), dtype=torch.long), use_cache=False
        ).logits[0, -1]
        torch.set_default_dtype(torch.float32)
    return {
        "sizes": sizes,
        "crops": crops,
        "num_image_tokens": counts,
        "pixels": np.round(pixels[:, :, ::PIXEL_STEP, ::PIXEL_STEP].double().numpy(), 6).tolist(),
        "embeddings": np.round(embeds[0][torch.tensor(mask)][::ROW_STEP].numpy(), 8).tolist(),
        "logits": logits.tolist(),
    }


if __name__ == "__main__":
    main(sys.argv[1])
