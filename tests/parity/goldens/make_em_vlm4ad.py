"""How em_vlm4ad.json was made: the published EM-VLM4AD code, tiny, float64, weights drawn from their names.

Run outside the test suite, with a checkout of akshaygopalkr/EM-VLM4AD (not part of this repository)::

    python tests/parity/goldens/make_em_vlm4ad.py CHECKOUT > tests/parity/goldens/em_vlm4ad.json

The published ``DriveVLMT5`` runs over a tiny T5. Of torchvision's ViT it reads three things only: ``_process_input``
(a convolution, then patches in raster order), ``class_token`` and ``encoder.pos_embedding``; a class of those three
stands in for it.
"""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import T5Config, T5ForConditionalGeneration

sys.path.insert(0, str(Path(__file__).parent))
from seeded import seeded_tensor

COMMIT = "ebfb59f43538f173bb6a83455e4c76a9acfa91d2"
WIDTH, SIDE, PATCH, TOKENS, GATES = 24, 64, 32, 4, 6
T5 = {
    "vocab_size": 40, "d_model": WIDTH, "d_kv": 6, "d_ff": 32, "num_layers": 2, "num_heads": 4,
    "tie_word_embeddings": True, "decoder_start_token_id": 0, "dropout_rate": 0.0,
}  # fmt: skip
TEXT = [[5, 9, 11, 2, 1], [7, 3, 30, 8, 1]]
ANSWER = [[4, 6, 1], [12, 21, 1]]


class Stem(nn.Module):
    """What the published code reads of torchvision's ViT."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_proj = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.class_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.encoder = nn.Module()
        self.encoder.pos_embedding = nn.Parameter(torch.zeros(1, TOKENS + 1, WIDTH))

    def _process_input(self, pixels: Tensor) -> Tensor:
        return self.conv_proj(pixels).flatten(2).permute(0, 2, 1)


def _module(name: str, **attributes: Any) -> None:
    module = ModuleType(name)
    vars(module).update(attributes)
    sys.modules[name] = module


def main() -> None:
    """Print the logits of two questions about six views each."""
    torch.set_default_dtype(torch.float64)
    _module("torchvision")
    _module("torchvision.models", vit_b_32=lambda weights: Stem())
    sys.path.insert(0, f"{sys.argv[1]}/modules")
    import multi_frame_model as published

    published.VIT_HIDDEN_STATE, published.VIT_SEQ_LENGTH = WIDTH, TOKENS
    published.T5ForConditionalGeneration = SimpleNamespace(
        from_pretrained=lambda name: T5ForConditionalGeneration(T5Config(**T5))
    )
    published.print_trainable_parameters = lambda model: None
    with redirect_stdout(sys.stderr):
        model = published.DriveVLMT5(SimpleNamespace(lm="T5-Base", gpa_hidden_size=GATES)).eval()
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            tensor.copy_(seeded_tensor(name, tensor.shape))
        views = seeded_tensor("views", (2, 6, 3, SIDE, SIDE), std=1.0)
        output = model(torch.tensor(TEXT), views, labels=torch.tensor(ANSWER))
    json.dump(
        {
            "source": f"akshaygopalkr/EM-VLM4AD at {COMMIT}",
            "made_by": Path(__file__).name,
            "shapes": {name: list(tensor.shape) for name, tensor in model.named_parameters()},
            "text": TEXT,
            "answer": ANSWER,
            "logits": [[[round(value, 12) for value in row] for row in rows] for rows in output.logits.tolist()],
            "loss": float(output.loss),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
