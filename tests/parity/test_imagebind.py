"""The ImageBind towers against stored outputs of the published code, at tiny width, and the published sizes.

How the numbers were made: tests/parity/goldens/make_imagebind.py.
"""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from geoprose.models.own_configs import ImageBindConfig
from geoprose.models.parts.encoders.imagebind_tower import ImageBindTower
from geoprose.systems.interop.imagebind import imagebind_key_map
from tests.parity.goldens.seeded import MODALITIES, seeded_input, seeded_tensor

GOLDEN = json.loads((Path(__file__).parent / "goldens" / "imagebind.json").read_text())
PLANE = {"patch_size": 16, "image_size": 224}
INPUTS = {
    "vision": {"patch_size": 14, "image_size": 224},
    "text": {"patch_size": 1, "image_size": 77},
    "audio": {"patch_size": 16, "stride": 10, "image_size": [128, 204]},
    "depth": PLANE,
    "thermal": PLANE,
    "imu": {"patch_size": 8, "image_size": 2000},
}
HUGE = {
    "vision": {"hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 16},
    "text": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16},
    "audio": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12},
    "depth": {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 8},
    "thermal": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12},
    "imu": {"hidden_size": 512, "num_hidden_layers": 6, "num_attention_heads": 8},
}
TOKENS = {"vision": 256, "text": 77, "audio": 228, "depth": 196, "thermal": 196, "imu": 250}


def seeded_tower(modality):
    config = ImageBindConfig(
        modality=modality,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        projection_dim=8,
        **INPUTS[modality],
    )
    tower = ImageBindTower(config).double().eval()
    ours = tower.state_dict()
    theirs = imagebind_key_map(modality).to_theirs(ours)
    seeded = {name: seeded_tensor(name, tensor.shape) for name, tensor in theirs.items()}
    state, left_out = imagebind_key_map(modality).to_ours(seeded)
    assert left_out == []
    tower.load_state_dict(state, strict=True)
    return tower


@torch.no_grad()
def difference(tower, values, golden):
    return float((tower(values) - torch.tensor(GOLDEN["embeddings"][golden], dtype=torch.float64)).abs().max())


@pytest.mark.parametrize("modality", MODALITIES)
def test_embeddings_equal_those_of_the_published_code(modality):
    tower = seeded_tower(modality)
    assert difference(tower, seeded_input(modality), modality) < 1e-9
    with torch.no_grad():
        tower.blocks[1].attention.out.weight.copy_(tower.blocks[1].attention.out.weight.flip(0))
    assert difference(tower, seeded_input(modality), modality) > 1e-4, "a permuted weight was not noticed"


def test_clips_are_averaged_behind_the_scale():
    audio = torch.stack([seeded_input("audio", 0), seeded_input("audio", 1)], 1)
    assert difference(seeded_tower("audio"), audio, "audio clips") < 1e-9
    frames = torch.stack([seeded_input("vision", 0), seeded_input("vision", 1)], 2)
    assert difference(seeded_tower("vision"), torch.stack([frames, frames.flip(2)], 1), "vision clips") < 1e-9


def test_the_norm_of_an_embedding_is_the_factor_of_its_modality():
    factors = {"vision": 1.0, "audio": 20.0, "depth": 5.0, "thermal": 10.0, "imu": 5.0}
    for modality, factor in factors.items():
        with torch.no_grad():
            norms = seeded_tower(modality)(seeded_input(modality)).norm(dim=-1)
        assert torch.allclose(norms, torch.full_like(norms, factor), atol=1e-9), modality


def test_published_sizes():
    """1.2 B in all: ViT-H/14 (632.08 M and 354.03 M in the table of models of OpenCLIP) and the four small towers.

    The image tower has one more frame in its first layer, 1280 * 3 * 14 * 14 weights.
    """
    counts = {}
    for modality in MODALITIES:
        with torch.device("meta"):
            tower = ImageBindTower(ImageBindConfig(modality=modality, **HUGE[modality], **INPUTS[modality]))
        counts[modality] = sum(parameter.numel() for parameter in tower.parameters())
        assert tower.stem.num_patches == TOKENS[modality]
    assert counts == GOLDEN["huge_parameters"]
    assert sum(counts.values()) == GOLDEN["huge_total"] == 1_200_781_057
    assert round((counts["vision"] - 1280 * 3 * 14 * 14) / 1e6, 2) == 632.08
    assert round(counts["text"] / 1e6, 2) == 354.03


def test_the_extra_key_is_one_more_token_to_attend_to():
    """Hand-computed: with zero queries every key weighs the same: the mean of all values, the extra one included."""
    tower = seeded_tower("imu")
    attention = tower.blocks[0].attention
    with torch.no_grad():
        attention.qkv.weight[:16].zero_()
        attention.qkv.bias[:16].zero_()
        tokens = seeded_tensor("tokens", (1, 5, 16))
        values = F.linear(tokens, attention.qkv.weight[32:], attention.qkv.bias[32:])
        mean = (values.sum(1) + attention.extra_value[0]) / 6
        expected = attention.out(mean).unsqueeze(1).expand(-1, 5, -1)
        assert torch.allclose(attention(tokens), expected, atol=1e-12)
