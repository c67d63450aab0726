"""How next_gpt.json was made: the published output head of NExT-GPT, float64, weights drawn from their names.

Run outside the test suite, with a checkout of NExT-GPT/NExT-GPT (BSD 3-Clause, not part of this repository)::

    python tests/parity/goldens/make_next_gpt.py CHECKOUT > tests/parity/goldens/next_gpt.json

The checkout of the stored numbers was commit 60d618b067ee4cb0d70e7075ae79852780b34fc2.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent))
from seeded import SIGNAL_SIZES, seeded_run, seeded_tensor

FOLDER = "NExT-GPT-Lagacy/code/model"


def _module(name: str, **attributes: Any) -> None:
    module = ModuleType(name)
    vars(module).update(attributes)
    sys.modules[name] = module


def main() -> None:
    """Print conditions, distances, and parameter counts at published size."""
    # Its package imports generators and DeepSpeed; the head needs neither, nor the Q-Former beside it.
    _module("published", __path__=[f"{sys.argv[1]}/{FOLDER}"])
    _module("published.qformer", BertLMHeadModel=None, BertConfig=None)
    from published.layers import TextFcLayer

    torch.set_default_dtype(torch.float64)
    width, signals, tokens, size = (SIGNAL_SIZES[key] for key in ("width", "signals", "output_tokens", "output_size"))
    head = TextFcLayer(width, size, signals, tokens, mode="transformer").eval()
    with torch.no_grad():
        for name, parameter in head.named_parameters():
            parameter.copy_(seeded_run(name, parameter.shape, std=0.05))
        hidden, embeds = seeded_tensor("hidden", (2, signals, width)), seeded_tensor("embeds", (2, signals, width))
        conditions = head(hidden, embeds)
    torch.set_default_dtype(torch.float32)
    published = {"image": (768, 4, 77), "video": (1024, 24, 77), "audio": (512, 8, 1)}
    with torch.device("meta"):
        heads = {name: TextFcLayer(4096, *sizes, mode="transformer") for name, sizes in published.items()}
    json.dump(
        {
            "source": "NExT-GPT/NExT-GPT at 60d618b067ee4cb0d70e7075ae79852780b34fc2",
            "made_by": "tests/parity/goldens/make_next_gpt.py",
            "conditions": conditions.tolist(),
            "parameters": {name: sum(p.numel() for p in head.parameters()) for name, head in heads.items()},
        },
        sys.stdout,
        indent=1,
    )


if __name__ == "__main__":
    main()
