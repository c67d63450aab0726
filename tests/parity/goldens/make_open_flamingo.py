"""How open_flamingo.json was made: the published resampler and gated block, tiny, float64, weights drawn from names.

Run outside the test suite, with a checkout of mlfoundations/open_flamingo (MIT, not part of this repository) and its
two small dependencies::

    pip install einops einops-exts
    python tests/parity/goldens/make_open_flamingo.py CHECKOUT > tests/parity/goldens/open_flamingo.json
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from seeded import seeded_tensor

SIZES = {"width": 12, "visual_width": 8, "heads": 2, "head_dim": 5, "latents": 3, "depth": 2}


def main() -> None:
    """Print the outputs of both modules, and their parameter counts at the published size."""
    path = Path(sys.argv[1]) / "open_flamingo" / "src" / "helpers.py"
    spec = importlib.util.spec_from_file_location("helpers", path)
    helpers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(helpers)
    torch.set_default_dtype(torch.float64)
    heads = {"dim_head": SIZES["head_dim"], "heads": SIZES["heads"]}
    resampler = helpers.PerceiverResampler(
        dim=SIZES["visual_width"], depth=SIZES["depth"], num_latents=SIZES["latents"], **heads
    )
    block = helpers.GatedCrossAttentionBlock(dim=SIZES["width"], dim_visual=SIZES["visual_width"], **heads)
    with torch.no_grad():
        for module in (resampler, block):
            for name, tensor in module.named_parameters():
                tensor.copy_(seeded_tensor(name, tensor.shape))
        # Two pictures of seven patches in each of two rows; the second row's text begins before its first picture.
        pictures = seeded_tensor("pictures", (2, 2, 1, 7, SIZES["visual_width"]), std=1.0)
        text = seeded_tensor("text", (2, 6, SIZES["width"]), std=1.0)
        places = torch.tensor([[1, 0, 0, 1, 0, 0], [0, 0, 1, 1, 0, 0]], dtype=torch.bool)
        latents = resampler(pictures)
        hidden = block(text, latents, media_locations=places)
    full = [
        helpers.PerceiverResampler(dim=1024),
        *(helpers.GatedCrossAttentionBlock(dim=4096, dim_visual=1024) for _ in range(8)),
    ]
    commit = subprocess.run(["git", "-C", sys.argv[1], "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    json.dump(
        {
            "source": f"mlfoundations/open_flamingo at {commit.stdout.strip()}",
            "made_by": "tests/parity/goldens/make_open_flamingo.py",
            "latents": latents.tolist(),
            "hidden": hidden.tolist(),
            "new_parameters_9b": sum(p.numel() for module in full for p in module.parameters()),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
