"""MiniGPT-v2's visual half against stored outputs of the published code, and hand-computed cases.

How the numbers were made: tests/parity/goldens/make_minigpt_v2.py.
"""

import json
from pathlib import Path

import pytest
import torch
from transformers import Blip2VisionConfig

from geoprose.core.errors import ConfigError
from geoprose.models.parts.connectors.unshuffle import UnshuffleMlpConnector, unshuffle
from geoprose.models.parts.encoders.eva_clip import EvaClipEncoder
from geoprose.systems.build import build_system
from geoprose.systems.presets import load_preset
from geoprose.systems.verify import batch_of
from tests.parity.goldens.seeded import seeded_tensor

GOLDEN = json.loads((Path(__file__).parent / "goldens" / "minigpt_v2.json").read_text())
NAMES = (
    ("visual_encoder.cls_token", "embeddings.class_embedding"),
    ("visual_encoder.pos_embed", "embeddings.position_embedding"),
    ("visual_encoder.patch_embed.proj", "embeddings.patch_embedding"),
    ("visual_encoder.blocks", "encoder.layers"),
    ("ln_vision", "post_layernorm"),
    (".norm1", ".layer_norm1"),
    (".norm2", ".layer_norm2"),
    (".attn.proj", ".self_attn.projection"),
    (".attn.", ".self_attn."),
)


def vision_config():
    return Blip2VisionConfig(
        hidden_size=24, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, image_size=56, patch_size=14
    )


def seeded_parts():
    """The two parts as the preset sets them, with the weights of the stored outputs."""
    options = load_preset("minigpt-v2").vision_encoder.arguments()
    encoder = EvaClipEncoder(vision_config(), **options).double().eval()
    connector_options = load_preset("minigpt-v2").connector.arguments()
    connector = UnshuffleMlpConnector(24, 20, **connector_options).double().eval()
    weights = {name: seeded_tensor(name, shape) for name, shape in GOLDEN["shapes"].items()}
    head = {name.split(".")[1]: weights.pop(name) for name in list(weights) if name.startswith("llama_proj")}
    connector.load_state_dict({f"layers.0.{name}": tensor for name, tensor in head.items()})
    for block in range(2):
        prefix = f"visual_encoder.blocks.{block}.attn"
        queries, values = weights.pop(f"{prefix}.q_bias"), weights.pop(f"{prefix}.v_bias")
        weights[f"{prefix}.qkv.bias"] = torch.cat([queries, torch.zeros_like(queries), values])
    state = {}
    for name, tensor in weights.items():
        for theirs, ours in NAMES:
            name = name.replace(theirs, ours)
        state[name] = tensor
    encoder.tower.load_state_dict(state, strict=True)
    return encoder, connector


@torch.no_grad()
def test_visual_tokens_equal_those_of_the_published_code():
    encoder, connector = seeded_parts()
    tokens = connector(encoder(seeded_tensor("pixels", (2, 3, 56, 56), std=1.0)))
    expected = torch.tensor(GOLDEN["tokens"], dtype=torch.float64)
    assert tokens.shape == expected.shape == (2, 4, 20)
    assert (tokens - expected).abs().max() < 1e-10
    connector.order = "dyx_c"
    squares = connector(encoder(seeded_tensor("pixels", (2, 3, 56, 56), std=1.0)))
    assert (squares - expected).abs().max() > 1e-2, "blocks of 2 x 2 are not what MiniGPT-v2 merges"


def test_four_consecutive_patches_become_one_token():
    """Hand-computed: on a grid of 4 x 4, token 0 is the whole first row, not the upper left block."""
    patches = torch.arange(16.0).reshape(1, 16, 1)
    assert unshuffle(patches, 2, "raster4")[0].tolist() == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9, 10, 11],
        [12, 13, 14, 15],
    ]
    assert unshuffle(patches, 2, "dyx_c")[0, 0].tolist() == [0, 1, 4, 5]


def test_the_class_token_goes_or_stays():
    kept = EvaClipEncoder(vision_config()).eval()
    dropped = EvaClipEncoder(vision_config(), keep_class=False).eval()
    dropped.load_state_dict(kept.state_dict())
    pixels = torch.randn(2, 3, 56, 56)
    with torch.no_grad():
        assert torch.equal(kept(pixels)[:, 1:], dropped(pixels))
    assert (kept.num_patches(), dropped.num_patches()) == (17, 16)
    assert kept.num_prefix_positions() == dropped.num_prefix_positions() == 1
    with pytest.raises(ConfigError, match="cannot be pooled"):
        EvaClipEncoder(vision_config(), pool=2)


@torch.no_grad()
def test_the_whole_system_runs_and_sees():
    system = build_system("minigpt-v2", scale="tiny", dtype=torch.float64)
    rows = (((48, 48),), ((40, 64), (48, 48)))
    batch, other = batch_of(system, rows, 0), batch_of(system, rows, 1)
    assert int((batch["input_ids"] == system.model.config.image_token_id).sum()) == 3 * 16
    logits = system.model(**batch).logits
    assert (logits - system.model(**other).logits)[batch["attention_mask"].bool()].abs().max() > 1e-3
    answer = system.model.generate(**batch, max_new_tokens=3, eos_token_id=None)
    assert answer.shape == (2, batch["input_ids"].shape[1] + 3)
    text = system.processor.tokenizer.decode(batch["input_ids"][0]).replace("<|endoftext|>", "")
    assert text.startswith("<s>[INST]<Img><image>")
    assert text.endswith("<image></Img> Where? [/INST]")
