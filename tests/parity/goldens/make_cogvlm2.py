"""How cogvlm2.json was made: the modules of the published CogVLM2 code, tiny, float64, weights drawn from their names.

Run outside the test suite, with a folder that holds the published modeling_cogvlm.py, visual.py, util.py and
configuration_cogvlm.py (the code of THUDM/cogvlm2-llama3-chat-19B, not part of this repository)::

    python tests/parity/goldens/make_cogvlm2.py FOLDER > tests/parity/goldens/cogvlm2.json

The stored numbers are of the copy in Niky-san/cogvlm2_surce at 29bac8a. The published files import kernels that need a
GPU; the two calls that reach one are replaced by the same formula in torch: attention (xformers) and the rotation of
the two halves of a head (triton). Everything else runs as published.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
import transformers

sys.path.insert(0, str(Path(__file__).parent))
from seeded import seeded_tensor

TEXT = {
    "vocab_size": 24, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_multi_query_heads": 2, "hidden_act": "silu", "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
}  # fmt: skip
VISION = {
    "in_channels": 3, "hidden_size": 16, "patch_size": 4, "num_positions": 17, "num_heads": 2, "intermediate_size": 24,
    "num_hidden_layers": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-6, "dropout_prob": 0.0,
}  # fmt: skip
BEFORE, AFTER = [3, 7], [5, 11, 2, 19]
"""Token ids around the picture, which takes four patches and a token at each end."""


def _module(name: str, **attributes: Any) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(attributes)
    sys.modules[name] = module
    return module


def _attention(q: Any, k: Any, v: Any, scale: float) -> Any:
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, scale=scale).transpose(1, 2).contiguous()


def _rotate(x: Any, cos: Any, sin: Any, interleaved: bool = False, inplace: bool = False) -> Any:
    first, second = x.chunk(2, dim=-1)
    cos, sin = cos[:, None], sin[:, None]
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


def _stub_packages() -> None:
    # Loads what the published file takes from it, before the stubs stand in its way.
    assert transformers.PreTrainedModel
    assert transformers.modeling_outputs.BaseModelOutputWithPast
    ops = _module("xformers.ops", memory_efficient_attention=_attention)
    _module("xformers", ops=ops)
    language = _module("triton.language", constexpr=int)
    _module("triton", jit=lambda function: function, language=language, cdiv=None)
    _module("einops", rearrange=None, repeat=None)
    _module("torchvision", transforms=None)
    folder = Path(sys.argv[1])
    _module("cogvlm2", __path__=[str(folder)])
    _module("cogvlm2.configuration_cogvlm", CogVLMConfig=SimpleNamespace)


def _fill(name: str, module: torch.nn.Module) -> torch.nn.Module:
    for own, tensor in module.named_parameters():
        tensor.data.copy_(seeded_tensor(f"{name}.{own}", tensor.shape))
    return module


@torch.no_grad()
def main() -> None:
    """Print the features of the picture, the position ids, and the hidden states behind the last norm."""
    _stub_packages()
    from cogvlm2 import modeling_cogvlm as published
    from cogvlm2 import util, visual

    util.apply_rotary_emb_func = _rotate
    torch.set_default_dtype(torch.float64)
    config = SimpleNamespace(**TEXT, vision_config=VISION)
    eye = _fill("vision", visual.EVA2CLIPModel(config))
    layers = [_fill(f"layers.{i}", published.CogVLMDecoderLayer(config)) for i in range(TEXT["num_hidden_layers"])]
    norm = _fill("norm", published.RMSNorm(TEXT["hidden_size"], TEXT["rms_norm_eps"]))
    words = seeded_tensor("embed_tokens.weight", (TEXT["vocab_size"], TEXT["hidden_size"]))
    tokens = eye(seeded_tensor("pixels", (1, 3, 16, 16), std=1.0))
    embeds = torch.cat([words[BEFORE], tokens[0], words[AFTER]])[None]
    types = torch.tensor([[0] * len(BEFORE) + [1] * tokens.shape[1] + [0] * len(AFTER)])
    positions = published.build_position_ids(types)
    mask = published.CogVLMModel._prepare_decoder_attention_mask(
        None, torch.ones(1, embeds.shape[1], dtype=torch.bool), embeds.shape[:2], embeds, 0
    )
    hidden = embeds
    for layer in layers:
        hidden = layer(hidden, token_type_ids=types, position_ids=positions, attention_mask=mask)[0]
    json.dump(
        {
            "source": "Niky-san/cogvlm2_surce at 29bac8a, a copy of the code of THUDM/cogvlm2-llama3-chat-19B",
            "made_by": "tests/parity/goldens/make_cogvlm2.py",
            "tokens": tokens[0].tolist(),
            "positions": positions[0].tolist(),
            "hidden": norm(hidden)[0].tolist(),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
