"""The hybrid encoder and its connector: gradients, views that do not fit, and the part each view plays."""

import pytest
import torch

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.models.inputs import VisualInputs
from geoprose.models.parts.connectors.hybrid_concat import HybridConcatConnector
from geoprose.systems.verify import batch_of
from tests.fixtures.systems import tiny_system


@pytest.fixture(scope="module")
def system():
    return tiny_system("deepseek-vl-hybrid")


@pytest.fixture(scope="module")
def batch(system):
    return batch_of(system, (((48, 40),), ((30, 60),)))


def _views(batch):
    return {name: batch[name].clone() for name in ("pixel_values", "high_res_pixel_values")}


def test_gradients_reach_every_parameter(system, batch):
    model = system.model
    model.zero_grad()
    model(**batch).logits.square().sum().backward()
    visual = (model.model.vision_encoder, model.model.connector)
    missing = [
        name
        for part in visual
        for name, parameter in part.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    ]
    model.zero_grad()
    assert missing == []


@torch.no_grad()
def test_both_views_matter_and_fill_their_own_channels(system, batch):
    encoder = system.model.model.vision_encoder
    features = encoder.encode(VisualInputs(**_views(batch)))
    assert features.shape == (2, encoder.num_patches(), encoder.hidden_size)
    low_size = encoder.hidden_size - system.spec.connector.high_size
    for name, changed in (("pixel_values", slice(0, low_size)), ("high_res_pixel_values", slice(low_size, None))):
        views = _views(batch)
        views[name] += 1
        difference = (encoder.encode(VisualInputs(**views)) - features).abs().amax((0, 1))
        assert bool((difference[changed] > 1e-6).all())
        difference[changed] = 0
        assert difference.max() == 0


@torch.no_grad()
def test_alpha_of_zero_silences_the_early_state(system, batch):
    encoder = system.model.model.vision_encoder
    pixels = batch["high_res_pixel_values"]
    alpha = encoder.alpha.clone()
    encoder.alpha.zero_()
    expected = encoder._down(encoder.high_res_tower(pixels).last_hidden_state).flatten(2).transpose(1, 2)
    silent = encoder.see_large(pixels)
    encoder.alpha.copy_(alpha)
    assert torch.equal(silent, expected)
    assert (encoder.see_large(pixels) - expected).abs().max() > 1e-3


@torch.no_grad()
def test_beams_and_several_answers_take_both_views_along(system, batch):
    settings = {"max_new_tokens": 3, "eos_token_id": None, "pad_token_id": 0}
    beams = system.model.generate(**batch, **settings, num_beams=2, num_return_sequences=2)
    assert len(beams) == 4


def test_views_that_do_not_fit_are_refused(system, batch):
    encoder = system.model.model.vision_encoder
    with pytest.raises(ProcessingError, match="high_res_pixel_values is missing"):
        encoder.encode(VisualInputs(pixel_values=batch["pixel_values"]))
    with pytest.raises(ProcessingError, match="large view"):
        encoder.encode(VisualInputs(**{**_views(batch), "high_res_pixel_values": batch["pixel_values"]}))
    with pytest.raises(ConfigError, match="high_size"):
        HybridConcatConnector(32, 16, high_size=32)


@torch.no_grad()
def test_connector_by_hand():
    connector = HybridConcatConnector(5, 4, high_size=2).double()
    features = torch.randn(1, 3, 5, dtype=torch.float64)
    low = features[..., :3] @ connector.low.weight.T + connector.low.bias
    high = features[..., 3:] @ connector.high.weight.T + connector.high.bias
    mixed = torch.nn.functional.gelu(torch.cat([high, low], -1)) @ connector.mix.weight.T + connector.mix.bias
    assert torch.allclose(connector(features), mixed, atol=1e-12)
    assert connector.num_visual_tokens(576) == 576
