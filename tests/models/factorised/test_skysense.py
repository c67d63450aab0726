"""SkySense-style encoder: prototypes and fusion by hand, released sizes, missing sensors, bad input."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.models.factorised.fusion import FusionTransformer
from geoprose.models.factorised.prototypes import GeoPrototypes, sinkhorn
from geoprose.systems.build import build_meta_model, build_system
from geoprose.systems.load import load_system
from geoprose.systems.presets import load_preset
from geoprose.systems.save import save_system
from tests.fixtures.systems import randomise

DATES = {"hr": 1, "s2": 3, "s1": 2}


@pytest.fixture(scope="module")
def system():
    system = build_system("skysense", scale="tiny", dtype=torch.float64)
    randomise(system.model, std=0.2)
    return system


def _inputs(system, num_places=2, seed=0):
    rng = np.random.default_rng(seed)
    shapes = {
        name: (num_places, DATES[name], item.num_bands, item.image_size, item.image_size)
        for name, item in system.spec.modalities.items()
    }
    arrays = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    pixels = system.processor(arrays)["pixel_values"]
    return {
        "pixel_values": {name: value.double() for name, value in pixels.items()},
        "days": {name: torch.from_numpy(rng.integers(0, 365, (num_places, DATES[name]))) for name in arrays},
        "regions": torch.arange(num_places),
    }


def test_sizes_of_the_released_configuration():
    model = build_meta_model("skysense")
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in model.encoders.items()}
    head = 1024 * 16 * 2816 + 16 * 2816  # conv1 to 2816 channels of 4 x 4 cells
    block = 12 * 1024**2 + 13 * 1024
    embedding = 10 * 16 * 1024 + 1024 + (1 + 16) * 1024 + 1024 + 2 * 1024  # patches, positions, class token, last norm
    embedding -= 1024  # counted once: the class token
    assert count["s2"] == 24 * block + embedding + head + 1024
    # SwinV2-H of SimMIM (arXiv:2111.09886, table 3): 658 M with its classifier of 1000 classes.
    assert round((count["hr"] + 2816 * 1000 + 1000) / 1e6) == 658
    assert sum(p.numel() for p in model.fusion.parameters()) == 24 * block + 2816 * 1024 + 1024 + 1024
    assert model.day_table.shape == (365, 2816)


def test_sensors_share_one_grid_at_full_size():
    spec = load_preset("skysense")
    hr, s2 = spec.modalities["hr"], spec.modalities["s2"]
    assert hr.image_size // 32 == s2.image_size // s2.config["patch_size"] * s2.upscale == 16


def test_sinkhorn_by_hand():
    similarity = torch.tensor([[1.0, 0.0], [0.8, 0.2], [0.9, 0.7]], dtype=torch.float64)
    expected = np.exp(similarity.numpy() / 0.5)
    for _ in range(3):
        expected = expected / expected.sum(0, keepdims=True) / 2
        expected = expected / expected.sum(1, keepdims=True) / 3
    np.testing.assert_allclose(sinkhorn(similarity, 0.5, 3).numpy(), expected * 3, rtol=1e-9)


@given(st.integers(2, 30), st.integers(2, 6), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_assignments_are_shares_and_prototypes_are_used_alike(features, prototypes, seed):
    generator = torch.Generator().manual_seed(seed)
    similarity = torch.rand(features, prototypes, generator=generator, dtype=torch.float64)
    assigned = sinkhorn(similarity, epsilon=0.5, iterations=50)
    torch.testing.assert_close(assigned.sum(1), torch.ones(features, dtype=torch.float64))
    share = torch.full((prototypes,), features / prototypes, dtype=torch.float64)
    torch.testing.assert_close(assigned.sum(0), share, rtol=1e-3, atol=1e-3)


def test_geo_context_by_hand():
    geo = GeoPrototypes(2, 3, 4).double()
    features = torch.randn(2, 5, 4, dtype=torch.float64)
    out = geo(features, torch.tensor([1, -1]))
    table = geo.prototypes_RPD[1]
    weights = torch.softmax(features[0, 2] @ table.T / 2, -1)
    torch.testing.assert_close(out[0, 2], torch.cat([features[0, 2], weights @ table]))
    assert torch.equal(out[1, :, :4], features[1])
    assert out[1, :, 4:].abs().max() == 0


def test_prototypes_move_by_the_average_of_what_is_assigned_to_them():
    geo = GeoPrototypes(3, 2, 4, momentum=0.75).double()
    before = geo.prototypes_RPD.clone()
    features = torch.randn(2, 6, 4, dtype=torch.float64)
    geo.update(features, torch.tensor([2, -1]))
    unit = torch.nn.functional.normalize
    assigned = sinkhorn(unit(features[0], dim=-1) @ unit(before[2], dim=-1).T, 0.05, 3)
    mean = (assigned.T @ features[0]) / assigned.sum(0)[:, None]
    torch.testing.assert_close(geo.prototypes_RPD[2], 0.75 * before[2] + 0.25 * mean)
    assert torch.equal(geo.prototypes_RPD[:2], before[:2])


def test_fusion_equals_torchs_own_pre_norm_encoder():
    fusion = FusionTransformer(6, 8, num_layers=2, num_heads=2).double().eval()
    randomise(fusion)
    x = torch.cat([fusion.extra, fusion.project(torch.ones(1, 3, 6, dtype=torch.float64))], 1)
    for attend, forward in zip(fusion.attend, fusion.forwards, strict=True):
        layer = torch.nn.TransformerEncoderLayer(8, 2, 32, 0.0, "gelu", batch_first=True, norm_first=True).double()
        layer.load_state_dict(
            {
                "self_attn.in_proj_weight": attend.qkv.weight, "self_attn.in_proj_bias": attend.qkv.bias,
                "self_attn.out_proj.weight": attend.out.weight, "self_attn.out_proj.bias": attend.out.bias,
                "norm1.weight": attend.norm.weight, "norm1.bias": attend.norm.bias,
                "norm2.weight": forward.norm.weight, "norm2.bias": forward.norm.bias,
                "linear1.weight": forward.layers[0].weight, "linear1.bias": forward.layers[0].bias,
                "linear2.weight": forward.layers[2].weight, "linear2.bias": forward.layers[2].bias,
            }
        )  # fmt: skip
        x = layer(x)
    torch.testing.assert_close(fusion(torch.ones(1, 3, 6, dtype=torch.float64)), x[:, 0])


def test_a_cell_is_fused_from_its_own_tokens_only(system):
    model, inputs = system.model, _inputs(system, 1)
    with torch.no_grad():
        output = model(**inputs)
        tokens = [model.tokens(name, inputs["pixel_values"][name], inputs["days"][name]) for name in DATES]
        cell = torch.cat([part[:, 7] for part in tokens], 1)
        fused = model.fusion(cell)
        assert cell.shape[1] == sum(DATES.values())
        expected = model.geo_context(fused.unsqueeze(1), inputs["regions"])[0, 0]
        torch.testing.assert_close(output.feature_map[0, :, 1, 3], expected)
        torch.testing.assert_close(output.pooled, output.feature_map.mean((2, 3)))


def test_tokens_carry_day_and_sensor(system):
    model, inputs = system.model, _inputs(system)
    pixels = inputs["pixel_values"]["s1"]
    days = torch.tensor([[3, 200], [0, 364]])
    with torch.no_grad():
        plain, dated = model.tokens("s1", pixels, None), model.tokens("s1", pixels, days)
        torch.testing.assert_close(dated[0, 5, 1] - plain[0, 5, 1], model.day_table[200])
        raw = model.encoders["s1"](pixels[:, 1]).flatten(2)[0, :, 5]
        torch.testing.assert_close(plain[0, 5, 1] - raw, model.modality_table[1])


def test_sensors_may_be_missing_and_dates_may_come_in_any_number(system):
    model, inputs = system.model, _inputs(system)
    with torch.no_grad():
        whole = model(**inputs)
        only = model({"s2": inputs["pixel_values"]["s2"][:, :1]})
    assert only.feature_map.shape == whole.feature_map.shape == (2, 24, 4, 4)
    assert only.feature_map[:, 12:].abs().max() == 0  # no region, no context
    assert (only.feature_map[:, :12] - whole.feature_map[:, :12]).abs().max() > 1e-3


def test_every_parameter_gets_a_gradient_and_a_folder_round_trips(system, tmp_path):
    model, inputs = system.model, _inputs(system)
    model.zero_grad()
    output = model(**inputs)
    (output.feature_map * torch.randn_like(output.feature_map)).sum().backward()
    assert [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    loaded = load_system(save_system(system, tmp_path / "saved"))
    assert torch.equal(loaded.model.geo_context.prototypes_RPD, model.geo_context.prototypes_RPD)
    with torch.no_grad():
        again = loaded.model(**inputs).feature_map
    torch.testing.assert_close(again, output.feature_map.detach(), atol=1e-12, rtol=0)
    assert loaded.processor.modalities == system.processor.modalities


def test_bad_input_is_named(system):
    model, inputs = system.model, _inputs(system)
    pixels = inputs["pixel_values"]
    with pytest.raises(ProcessingError, match="at least one of hr, s1, s2"):
        model({})
    with pytest.raises(ProcessingError, match="Give at least one of"):
        model({"landsat": pixels["s2"]})
    with pytest.raises(ProcessingError, match="10 bands"):
        model({"s2": pixels["s1"]})
    with pytest.raises(ProcessingError, match="one day of the year for each"):
        model(pixels, {"s1": torch.tensor([[0, 365], [0, 1]])})
    with pytest.raises(ProcessingError, match="numbers 0 to 2"):
        model(pixels, regions=torch.tensor([0, 3]))
    with pytest.raises(ProcessingError, match="Unknown modality 'l8'"):
        system.processor({"l8": np.zeros((1, 1, 2, 4, 4))})
    with pytest.raises(ProcessingError, match="holds values that are no numbers"):
        system.processor({"s1": np.full((1, 1, 2, 8, 8), np.nan)})
    with pytest.raises(ProcessingError, match="needs \\(places, dates, 2 bands, 8, 8 px\\)"):
        system.processor({"s1": np.zeros((1, 2, 8, 8))})
    with pytest.raises(ConfigError, match="build with weights=False"):
        build_system("skysense")
    with pytest.raises(ConfigError, match="3 values for 10 bands"):
        load_preset("skysense", ["modalities.s2.mean=[1, 2, 3]"])
