"""How open_clip.json was made: open_clip's own CLIP class, tiny, float64, weights drawn from their names.

Run outside the test suite, with the unpacked wheel of open_clip_torch (MIT, not a dependency of this repository)::

    python tests/parity/goldens/make_open_clip.py FOLDER > tests/parity/goldens/open_clip.json

The stored numbers are of version 3.3.0. Modules that the class imports but that its ViT does not need (timm,
torchvision, ResNet, Hugging Face text towers) are replaced by empty ones.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent))
from seeded import seeded_tensor

VISION = {"image_size": 32, "layers": 2, "width": 16, "head_width": 8, "patch_size": 8}
TEXT = {"context_length": 9, "vocab_size": 40, "width": 16, "heads": 2, "layers": 2}
TOKENS = [[38, 5, 7, 39, 0, 0, 0, 0, 0], [38, 1, 2, 3, 4, 5, 6, 7, 39]]


def _module(name: str, **attributes: Any) -> None:
    module = ModuleType(name)
    vars(module).update(attributes)
    sys.modules[name] = module


def outputs(clip_class: Any, quick_gelu: bool) -> dict[str, Any]:
    """Return the embeddings of two pictures and two texts."""
    model = clip_class(embed_dim=12, vision_cfg=VISION, text_cfg=TEXT, quick_gelu=quick_gelu).double().eval()
    model.load_state_dict({name: seeded_tensor(name, value.shape) for name, value in model.state_dict().items()})
    pixels = seeded_tensor("pixels", (2, 3, 32, 32))
    with torch.no_grad():
        images = model.encode_image(pixels, normalize=True)
        texts = model.encode_text(torch.tensor(TOKENS), normalize=True)
    return {"image_embeds": images.tolist(), "text_embeds": texts.tolist(), "scale": model.logit_scale.exp().item()}


def main(folder: str) -> None:
    """Print the outputs with both activations."""
    _module("open_clip", __path__=[f"{folder}/open_clip"])
    for name, member in (("hf_model", "HFTextEncoder"), ("timm_model", "TimmModel")):
        _module(f"open_clip.{name}", **{member: None})
    _module("open_clip.modified_resnet", ModifiedResNet=None)
    for name in ("torchvision", "torchvision.ops", "torchvision.ops.misc"):
        _module(name, FrozenBatchNorm2d=type("FrozenBatchNorm2d", (), {}))
    from open_clip.model import CLIP

    values = {"gelu": outputs(CLIP, False), "quick_gelu": outputs(CLIP, True)}
    sys.stdout.write(json.dumps(values, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
