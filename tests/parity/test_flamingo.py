"""Flamingo: our resampler and gated block equal open_flamingo's, and the published sizes are the published counts."""

import json
from pathlib import Path

import pytest
import torch
from transformers import IdeficsConfig, IdeficsForVisionText2Text

from geoprose.layout.visual import VisualLayout
from geoprose.models.inputs import TextInputs, Visuals
from geoprose.models.parts.connectors.perceiver import PerceiverConnector
from geoprose.models.parts.fusions.gated_cross_attention import BlockSizes, GatedCrossAttentionBlock
from geoprose.models.parts.fusions.media import gather, see
from geoprose.systems.build import build_meta_model
from tests.parity.goldens.make_open_flamingo import SIZES
from tests.parity.goldens.seeded import seeded_tensor

GOLDEN = json.loads((Path(__file__).parent / "goldens" / "open_flamingo.json").read_text())
_INNER = SIZES["heads"] * SIZES["head_dim"]
_RESAMPLER = {
    "attention.context_norm": "0.norm_media",
    "attention.latent_norm": "0.norm_latents",
    "attention.q_proj": "0.to_q",
    "attention.k_proj": "0.to_kv",
    "attention.v_proj": "0.to_kv",
    "attention.out_proj": "0.to_out",
    "feed_forward.norm": "1.0",
    "feed_forward.up_proj": "1.1",
    "feed_forward.down_proj": "1.3",
}
_BLOCK = {
    "attention_norm": "attn.norm",
    "q_proj": "attn.to_q",
    "k_proj": "attn.to_kv",
    "v_proj": "attn.to_kv",
    "o_proj": "attn.to_out",
    "feed_forward_norm": "ff.0",
    "feed_forward.up_proj": "ff.1",
    "feed_forward.down_proj": "ff.3",
    "attention_gate": "attn_gate",
    "feed_forward_gate": "ff_gate",
}


def _fill(module: torch.nn.Module, names: dict[str, str], prefix: str = "blocks", their_prefix: str = "layers") -> None:
    """Draw each weight from its published name; keys and values are one matrix there."""
    for name, parameter in module.named_parameters():
        their = name.replace(f"{prefix}.", f"{their_prefix}.", 1)
        for own, published in names.items():
            if f".{own}" in f".{their}":
                their = their.replace(own, published, 1)
                break
        shape = list(parameter.shape)
        if "to_kv" in their:
            whole = seeded_tensor(their, (2 * _INNER, *shape[1:]))
            value = whole[:_INNER] if "k_proj" in name else whole[_INNER:]
        else:
            value = seeded_tensor(their, shape)
        with torch.no_grad():
            parameter.copy_(value)


def _latents() -> torch.Tensor:
    resampler = PerceiverConnector(
        SIZES["visual_width"], 1, SIZES["latents"], SIZES["depth"], SIZES["heads"], SIZES["head_dim"],
        activation="gelu", project=False,
    ).double()  # fmt: skip
    _fill(resampler, _RESAMPLER)
    return resampler(seeded_tensor("pictures", (2, 2, 1, 7, SIZES["visual_width"]), std=1.0).flatten(0, 2))


@torch.no_grad()
def test_resampler_is_the_published_one():
    expected = torch.tensor(GOLDEN["latents"], dtype=torch.float64).flatten(0, 1)
    assert torch.allclose(_latents(), expected, atol=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("visible", ["last", "all"])
def test_gated_block_is_the_published_one(visible):
    """The stored block looks at the last picture only, so the other rule must differ."""
    sizes = BlockSizes(
        SIZES["width"], SIZES["visual_width"], SIZES["heads"], SIZES["head_dim"], 4 * SIZES["width"],
        feed_forward="gelu", norm="layernorm", norm_eps=1e-5,
    )  # fmt: skip
    block = GatedCrossAttentionBlock(sizes).double()
    _fill(block, _BLOCK)
    hidden = seeded_tensor("text", (2, 6, SIZES["width"]), std=1.0)
    places = torch.tensor([[1, 0, 0, 1, 0, 0], [0, 0, 1, 1, 0, 0]], dtype=torch.bool)
    text = TextInputs(hidden, places, None, 0)
    media = gather(text, Visuals(list(_latents()), [VisualLayout()] * 4, SIZES["latents"]))
    ours = block(hidden, *block.keys_values(media.tokens_BME), see(text, media, visible))
    difference = (ours - torch.tensor(GOLDEN["hidden"], dtype=torch.float64)).abs().max()
    assert difference < 1e-12 if visible == "last" else difference > 1e-3


def _count(*modules: torch.nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def test_flamingo_at_published_size():
    """New parameters of OpenFlamingo 9B; with the 32003 trained word vectors they are the 1.31 billion of its log."""
    model = build_meta_model("flamingo").model
    assert _count(model.connector, model.fusion) == GOLDEN["new_parameters_9b"] == 1_178_834_960
    assert GOLDEN["new_parameters_9b"] + 32003 * 4096 == 1_309_919_248
    assert model.num_visual_tokens == 64
    assert model.vision_encoder.num_patches() == 256
    assert model.fusion.layer_indices == [3, 7, 11, 15, 19, 23, 27, 31]


def test_idefics_at_published_size():
    """As many parameters as transformers' class of the released config; 257 features of a picture, 64 tokens of it."""
    whole = build_meta_model("idefics")
    model = whole.model
    config = IdeficsConfig(
        additional_vocab_size=2, cross_layer_interval=4, qk_layer_norms=True, use_resampler=True,
        perceiver_config={"use_resampler": True, "qk_layer_norms_perceiver": True},
        vision_config={"embed_dim": 1280},
    )  # fmt: skip
    with torch.device("meta"):
        released = _count(IdeficsForVisionText2Text(config))
    assert round(released / 1e9, 2) == 8.93
    assert _count(whole) - 2 * (whole.config.get_text_config().vocab_size - 32002) * 4096 == released
    assert model.num_visual_tokens == 64
    assert model.vision_encoder.num_patches() == 257
    assert model.fusion.layer_indices == [0, 4, 8, 12, 16, 20, 24, 28]
