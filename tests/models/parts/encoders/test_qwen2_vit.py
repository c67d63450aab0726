import pytest
import torch
from transformers import AutoConfig
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VisionTransformerPretrainedModel

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.models.inputs import VisualInputs
from geoprose.models.parts.encoders.qwen2_vit import Qwen2VitEncoder
from tests.fixtures.systems import randomise

EXACT = {"atol": 1e-6, "rtol": 0}
LAYOUTS = torch.tensor([[1, 2, 3, 0, 0, 0], [3, 1, 2, 0, 0, 0]])
NUM_GROUPS = 12


def _config(**values):
    sizes = {"depth": 3, "embed_dim": 16, "hidden_size": 16, "num_heads": 2, "mlp_ratio": 2, "patch_size": 4}
    return AutoConfig.for_model("qwen2_vl_vision", **{**sizes, "image_size": 8, **values})


def _encoder(**options):
    encoder = Qwen2VitEncoder(_config(), **options).double().eval()
    randomise(encoder)
    return encoder


def _inputs(seed=0):
    generator = torch.Generator().manual_seed(seed)
    patches = torch.randn(NUM_GROUPS, 4, 3 * 2 * 4 * 4, dtype=torch.float64, generator=generator)
    return VisualInputs(pixel_values=patches, visual_layouts=LAYOUTS)


def test_features_equal_the_published_encoder():
    encoder, inputs = _encoder(), _inputs()
    theirs = Qwen2VisionTransformerPretrainedModel._from_config(_config()).double().eval()
    missing, unexpected = theirs.load_state_dict(encoder.tower.state_dict(), strict=False)
    assert all(name.startswith("merger.") for name in missing)
    assert unexpected == []
    grids = LAYOUTS[:, :3] * torch.tensor([1, 2, 2])
    expected = theirs(inputs.pixel_values.flatten(0, 1), grid_thw=grids, output_hidden_states=True)
    features = encoder.encode(inputs)
    assert features.shape == (NUM_GROUPS, 4, 16)
    torch.testing.assert_close(features.flatten(0, 1), expected.last_hidden_state, **EXACT)
    for layer in (0, 1, -2, -1):
        chosen = _encoder(feature_layer=layer).encode(inputs)
        torch.testing.assert_close(chosen.flatten(0, 1), expected.hidden_states[layer], **EXACT)


def test_each_step_in_time_sees_itself_only():
    encoder, inputs, other = _encoder(), _inputs(), _inputs()
    before = encoder.encode(inputs)
    other.pixel_values[6:8] += 1  # the first step of the video
    changed = (encoder.encode(other) - before).abs().amax((1, 2)) > 0
    assert changed.tolist() == [False] * 6 + [True] * 2 + [False] * 4


def test_order_of_visuals_does_not_matter():
    encoder, inputs = _encoder(), _inputs()
    swapped = VisualInputs(
        pixel_values=torch.cat([inputs.pixel_values[6:], inputs.pixel_values[:6]]), visual_layouts=LAYOUTS.flip(0)
    )
    features = encoder.encode(inputs)
    torch.testing.assert_close(encoder.encode(swapped), torch.cat([features[6:], features[:6]]), **EXACT)


def test_gradient_reaches_every_parameter_that_is_read():
    for options in ({}, {"feature_layer": -2}, {"feature_layer": (1, 2), "truncate": True}):
        encoder = _encoder(**options)
        encoder.encode(_inputs()).square().sum().backward()
        unused = set(encoder.unused_parameter_names())
        without = {name for name, p in encoder.named_parameters() if p.grad is None or not bool(p.grad.any())}
        assert without == unused
        assert bool(unused) == (options == {"feature_layer": -2})


@pytest.mark.parametrize("options", [{"pool": 2}, {"final_norm": True}, {"feature_layer": 4}])
def test_options_that_it_lacks_are_refused(options):
    with pytest.raises(ConfigError):
        Qwen2VitEncoder(_config(), **options)


def test_group_must_fit_the_merger():
    with pytest.raises(ConfigError, match="must be 8"):
        Qwen2VitEncoder(_config(image_size=16))


def test_patches_and_layouts_must_match():
    inputs = _inputs()
    for wrong in (VisualInputs(pixel_values=inputs.pixel_values), VisualInputs(visual_layouts=LAYOUTS)):
        with pytest.raises(ProcessingError, match="needs pixel_values and visual_layouts"):
            _encoder().encode(wrong)
    inputs.visual_layouts = LAYOUTS[:1]
    with pytest.raises(ProcessingError, match="describe 24 patches"):
        _encoder().encode(inputs)
