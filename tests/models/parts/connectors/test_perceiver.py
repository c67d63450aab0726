"""The resampler: against transformers' Idefics-1, and by hand."""

import pytest
import torch
from transformers import IdeficsConfig
from transformers.models.idefics.perceiver import IdeficsPerceiverResampler

from geoprose.core.errors import ConfigError
from geoprose.models.parts.connectors.perceiver import PerceiverConnector
from tests.fixtures.systems import randomise

_NAMES = (
    ("attention.context_norm", "0.context_layer_norm"),
    ("attention.latent_norm", "0.latents_layer_norm"),
    ("attention.q_norm", "0.q_layer_norm"),
    ("attention.k_norm", "0.k_layer_norm"),
    ("attention.q_proj", "0.q_proj"),
    ("attention.k_proj", "0.k_proj"),
    ("attention.v_proj", "0.v_proj"),
    ("attention.out_proj", "0.output_proj"),
    ("feed_forward.norm", "1.ln"),
    ("feed_forward.up_proj", "1.fc"),
    ("feed_forward.down_proj", "1.c_proj"),
)


def _connector(**options) -> PerceiverConnector:
    sizes = {"num_latents": 3, "depth": 2, "num_heads": 2, "head_dim": 5, **options}
    connector = PerceiverConnector(8, 12, **sizes).double()
    randomise(connector)
    return connector


def _theirs(ours: PerceiverConnector, qk_norm: bool) -> IdeficsPerceiverResampler:
    config = IdeficsConfig(
        vision_config={"embed_dim": 8}, perceiver_config={"use_resampler": True, "qk_layer_norms_perceiver": qk_norm}
    )
    state = {}
    for name, value in ours.state_dict().items():
        for own, their in _NAMES:
            name = name.replace(own, their)
        state[name if name.startswith("blocks") else name.replace("norm", "layer_norm")] = value
    theirs = IdeficsPerceiverResampler(config, 8, 2, 2, 5, 3).double()
    theirs.load_state_dict(state)
    return theirs


@pytest.mark.parametrize("qk_norm", [False, True])
@pytest.mark.parametrize("patches", [1, 7])
def test_equals_idefics(qk_norm, patches):
    ours = _connector(activation="relu", project=False, qk_norm=qk_norm)
    features = torch.randn(2, patches, 8, dtype=torch.float64)
    assert torch.allclose(ours(features), _theirs(ours, qk_norm)(features), atol=1e-12)


def test_latents_read_patches_and_themselves():
    """One head, one block, uniform attention: every latent reads the mean of the normalised patches and latents."""
    connector = _connector(num_latents=2, depth=1, num_heads=1, head_dim=8, project=False)
    block = connector.blocks[0]
    with torch.no_grad():
        block.attention.q_proj.weight.zero_()
        for layer in (block.attention.v_proj, block.attention.out_proj):
            layer.weight.copy_(torch.eye(8))
        block.feed_forward.down_proj.weight.zero_()
    features = torch.randn(1, 3, 8, dtype=torch.float64)
    latents = connector.latents[None]
    read = torch.cat([block.attention.context_norm(features), block.attention.latent_norm(latents)], 1)
    expected = connector.norm(latents + read.mean(1, keepdim=True))
    assert torch.allclose(connector(features), expected, atol=1e-12)


@pytest.mark.parametrize("patches", [1, 4, 9])
def test_counts_and_widths(patches):
    projected, native = _connector(), _connector(project=False)
    features = torch.randn(2, patches, 8, dtype=torch.float64)
    assert projected(features).shape == (2, projected.num_visual_tokens(patches), projected.out_size) == (2, 3, 12)
    assert native(features).shape == (2, 3, native.out_size) == (2, 3, 8)


def test_order_of_patches_does_not_matter_but_patches_do():
    connector = _connector()
    features = torch.randn(1, 5, 8, dtype=torch.float64)
    assert torch.allclose(connector(features), connector(features.flip(1)))
    assert not torch.allclose(connector(features), connector(features * 2 + torch.arange(8)))


def test_gradient_reaches_every_parameter():
    connector = _connector(qk_norm=True)
    connector(torch.randn(1, 4, 8, dtype=torch.float64)).square().sum().backward()
    assert [name for name, p in connector.named_parameters() if p.grad is None or not p.grad.abs().sum()] == []


def test_latents_are_drawn_again():
    connector = _connector()
    torch.nn.init.zeros_(connector.latents)
    connector.init_weights()
    assert connector.latents.std() > 0.3


@pytest.mark.parametrize(("options", "message"), [({"num_latents": 0}, ">= 1"), ({"activation": "relu3"}, "relu3")])
def test_bad_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        PerceiverConnector(8, 12, **options)
