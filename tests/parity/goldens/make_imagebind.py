"""How imagebind.json was made: the published ImageBind code, tiny, float64, weights drawn from their names.

Run outside the test suite, with a checkout of facebookresearch/ImageBind (CC-BY-NC 4.0, not part of this repository)::

    python tests/parity/goldens/make_imagebind.py CHECKOUT > tests/parity/goldens/imagebind.json

The checkout of the stored numbers was commit 53680b02d7e37b19b124fa37bae4b6c98c38f5be. Packages that the published
files import but that the forward pass does not need are replaced by empty modules.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent))
from seeded import MODALITIES, SEEDED_SIZES, seeded_input, seeded_tensor


def _module(name: str, **attributes: Any) -> None:
    module = ModuleType(name)
    vars(module).update(attributes)
    sys.modules[name] = module


def _stub_packages() -> None:
    class DropPath(torch.nn.Identity):
        def __init__(self, rate: float) -> None:
            super().__init__()

    _module("timm")
    _module("timm.layers", DropPath=DropPath, trunc_normal_=torch.nn.init.trunc_normal_)
    _module("ftfy")
    _module("einops", rearrange=lambda x, expression: x.transpose(0, 1))
    for name in ("iopath", "iopath.common"):
        _module(name)
    _module("iopath.common.file_io", g_pathmgr=None)
    # Its own __init__ imports readers of sound and video.
    _module("imagebind", __path__=[f"{sys.argv[1]}/imagebind"])


def main() -> None:
    """Print embeddings per modality and parameter counts of the published sizes."""
    _stub_packages()
    from imagebind.models.imagebind_model import ImageBindModel, imagebind_huge

    torch.set_default_dtype(torch.float64)
    model = ImageBindModel(**SEEDED_SIZES).eval()
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            tensor.copy_(seeded_tensor(name, tensor.shape))
        embeddings = {}
        for modality in MODALITIES:
            embeddings[modality] = model({modality: seeded_input(modality)})[modality].tolist()
        clips = torch.stack([seeded_input("audio", 0), seeded_input("audio", 1)], 1)
        embeddings["audio clips"] = model({"audio": clips})["audio"].tolist()
        video = torch.stack([seeded_input("vision", 0), seeded_input("vision", 1)], 2)
        videos = torch.stack([video, video.flip(2)], 1)
        embeddings["vision clips"] = model({"vision": videos})["vision"].tolist()
    torch.set_default_dtype(torch.float32)
    huge = imagebind_huge()
    parameters = {
        modality: sum(
            parameter.numel() for name, parameter in huge.named_parameters() if name.split(".")[1] == modality
        )
        for modality in MODALITIES
    }
    json.dump(
        {
            "source": "facebookresearch/ImageBind at 53680b02d7e37b19b124fa37bae4b6c98c38f5be",
            "made_by": "tests/parity/goldens/make_imagebind.py",
            "embeddings": embeddings,
            "huge_parameters": parameters,
            "huge_total": sum(parameter.numel() for parameter in huge.parameters()),
        },
        sys.stdout,
        indent=1,
    )


if __name__ == "__main__":
    main()
