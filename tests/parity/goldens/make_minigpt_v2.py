"""How minigpt_v2.json was made: the published MiniGPT-v2 code, tiny, float64, weights drawn from their names.

Run outside the test suite, with a checkout of Vision-CAIR/MiniGPT-4 (BSD-3-Clause, not part of this repository)::

    python tests/parity/goldens/make_minigpt_v2.py CHECKOUT > tests/parity/goldens/minigpt_v2.json

The stored numbers come from its ``VisionTransformer`` and ``MiniGPTv2.encode_img``; ``ln_vision`` is the plain
LayerNorm that its ``LayerNorm`` computes in float32. Packages that the forward pass does not need are empty modules.
"""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
from seeded import seeded_tensor

COMMIT = "d94738a7626ec43eba6c2cddf3cd2043f1a9689a"
SIZES = {"img_size": 56, "patch_size": 14, "embed_dim": 24, "depth": 2, "num_heads": 2, "mlp_ratio": 2.0}
WIDTH = 20


def _module(name: str, **attributes: Any) -> None:
    module = ModuleType(name)
    vars(module).update(attributes)
    sys.modules[name] = module


def _stub_packages(checkout: str) -> None:
    _module("timm")
    _module("timm.models")
    _module(
        "timm.models.layers",
        drop_path=None,
        to_2tuple=lambda side: (side, side),
        trunc_normal_=torch.nn.init.trunc_normal_,
    )
    _module("timm.models.registry", register_model=lambda model: model)
    for name in ("minigpt4", "minigpt4.models", "minigpt4.common"):
        _module(name, __path__=[f"{checkout}/{name.replace('.', '/')}"])
    registry = SimpleNamespace(register_model=lambda name: lambda model: model)
    _module("minigpt4.common.registry", registry=registry)
    _module("minigpt4.common.dist_utils", download_cached_file=None)
    _module("minigpt4.models.base_model", disabled_train=None)
    _module("minigpt4.models.minigpt_base", MiniGPTBase=nn.Module)
    _module("minigpt4.models.Qformer", BertConfig=None, BertLMHeadModel=None)


def main() -> None:
    """Print the visual tokens of two pictures."""
    _stub_packages(sys.argv[1])
    from minigpt4.models.eva_vit import VisionTransformer
    from minigpt4.models.minigpt_v2 import MiniGPTv2

    torch.set_default_dtype(torch.float64)
    parts = nn.ModuleDict(
        {
            "visual_encoder": VisionTransformer(
                use_mean_pooling=False, qkv_bias=True, norm_layer=partial(nn.LayerNorm, eps=1e-6), **SIZES
            ),
            "ln_vision": nn.LayerNorm(SIZES["embed_dim"]),
            "llama_proj": nn.Linear(4 * SIZES["embed_dim"], WIDTH),
        }
    ).eval()
    with torch.no_grad():
        for name, tensor in parts.named_parameters():
            tensor.copy_(seeded_tensor(name, tensor.shape))
        model = SimpleNamespace(maybe_autocast=nullcontext, **dict(parts.items()))
        tokens, _ = MiniGPTv2.encode_img(model, seeded_tensor("pixels", (2, 3, 56, 56), std=1.0))
    shapes = {name: list(tensor.shape) for name, tensor in parts.named_parameters()}
    source = f"Vision-CAIR/MiniGPT-4 at {COMMIT}"
    json.dump(
        {"source": source, "made_by": Path(__file__).name, "shapes": shapes, "tokens": tokens.tolist()}, sys.stdout
    )


if __name__ == "__main__":
    main()
