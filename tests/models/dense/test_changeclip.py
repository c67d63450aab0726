"""ChangeCLIP-style head: equations by hand, published sizes, and what it must and must not see."""

import pytest
import torch
import torch.nn.functional as F

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.models.dense.contracts import DateFeatures
from geoprose.models.dense.layers import score_map
from geoprose.systems.build import build_meta_model, build_system
from geoprose.systems.load import load_system
from geoprose.systems.presets import load_preset
from geoprose.systems.save import save_system
from tests.fixtures.systems import picture, randomise


@pytest.fixture(scope="module")
def system():
    system = build_system("changeclip", scale="tiny", dtype=torch.float64)
    randomise(system.model, std=0.2)
    return system


@pytest.fixture(scope="module")
def batch(system):
    batch = system.processor(images=[(picture(0), picture(1)), (picture(2), picture(3))])
    return {name: value.double() if value.is_floating_point() else value for name, value in batch.items()}


def test_sizes_of_the_published_configuration():
    spec, model = load_preset("changeclip"), build_meta_model("changeclip")
    widths = [layer.in_channels for layer in model.head.differences]
    assert widths == [768, 768, 770, 768]  # minus_channel
    assert [layer.in_channels for layer in model.head.fpn.lateral] == [1536, 1536, 1540, 1536]  # neck.in_channels
    assert [layer.out.in_channels for layer in model.head.compensate] == [768] * 4  # SELayer(768, 256)
    assert (spec.layers, spec.embedding_dim, spec.resolution.image_size) == ((4, 6, 8, 12), 512, 256)
    tower = sum(p.numel() for p in model.vision.parameters()) + model.vision_projection.weight.numel()
    tower += sum(p.numel() for p in model.text.parameters()) + model.text_projection.weight.numel()
    # open_clip ViT-B-16 is 149,620,737 with its scale; the grid of 256 px has 60 more positions than that of 224 px.
    assert tower == 149_620_737 - 1 + (257 - 197) * 768


def test_what_changed_and_where_by_hand(system):
    head = system.model.head
    before, after = (torch.randn(1, 32, 4, 4, dtype=torch.float64) for _ in range(2))
    joined = torch.randn(1, 16, 4, 4, dtype=torch.float64)
    conv = head.differences[1]
    expected = torch.zeros(1, 48, 4, 4, dtype=torch.float64)
    for row in range(4):
        for column in range(4):
            a, b, o = before[0, :, row, column], after[0, :, row, column], joined[0, :, row, column]
            where = 1 / (1 + torch.exp(-(1 - a @ b / (a.norm() * b.norm()))))
            what = torch.relu(conv.weight[:, :, 0, 0] @ (a - b).abs() + conv.bias)
            expected[0, :, row, column] = torch.cat([o * where, what, o])
    torch.testing.assert_close(head.compare(1, before, after, joined), head.compensate[1](expected))


def test_score_maps_join_the_third_stage(system):
    head = system.model.head
    date = DateFeatures(
        [torch.randn(1, 32, 4, 4, dtype=torch.float64) for _ in range(4)],
        torch.randn(1, 24, 4, 4, dtype=torch.float64),
        torch.randn(1, 24, dtype=torch.float64),
    )
    stages, texts = head.describe(date, torch.randn(2, 24, dtype=torch.float64))
    assert [stage.shape[1] for stage in stages] == [32, 32, 34, 32]
    torch.testing.assert_close(stages[2][:, 32:], score_map(date.patches_NDhw, texts))
    assert torch.equal(stages[2][:, :32], date.maps[2])


def test_patches_go_the_way_of_the_class_token(system, batch):
    model = system.model
    features = model.features(batch["pixel_values"][:, 0])
    hidden = model.vision.model(batch["pixel_values"][:, 0]).last_hidden_state
    norm = model.vision.model.post_layernorm
    expected = F.linear(norm(hidden[:, 1 + 6]), model.vision_projection.weight)
    torch.testing.assert_close(features.patches_NDhw[:, :, 1, 2], expected)
    torch.testing.assert_close(features.image_ND, F.linear(norm(hidden[:, 0]), model.vision_projection.weight))


def test_masks_have_the_size_of_the_pictures_and_depend_on_everything(system, batch):
    model = system.model
    with torch.no_grad():
        logits = model(**batch).logits
        assert logits.shape == (2, 2, 32, 32)
        other_date = {**batch, "pixel_values": batch["pixel_values"].clone()}
        other_date["pixel_values"][:, 1] += 1
        other_text = {
            **batch,
            "input_ids": batch["input_ids"].flip(0),
            "attention_mask": batch["attention_mask"].flip(0),
        }
        assert (model(**other_date).logits - logits).abs().max() > 1e-3
        assert (model(**other_text).logits - logits).abs().max() > 1e-4
        swapped = {**batch, "pixel_values": batch["pixel_values"].flip(0)}
        torch.testing.assert_close(model(**swapped).logits.flip(0), logits)


def test_nothing_changed_means_half_weight_everywhere(system):
    same = torch.randn(1, 32, 4, 4, dtype=torch.float64)
    joined = torch.ones(1, 16, 4, 4, dtype=torch.float64)
    head = system.model.head
    bias = head.differences[0].bias
    what = torch.relu(bias)[None, :, None, None].expand(1, 16, 4, 4)
    expected = head.compensate[0](torch.cat([joined / 2, what, joined], 1))
    torch.testing.assert_close(head.compare(0, same, same, joined), expected)


def test_every_parameter_gets_a_gradient_and_ignored_pixels_carry_none(system, batch):
    model = system.model
    model.zero_grad()
    labels = torch.randint(0, 2, (2, 32, 32))
    model(**batch, labels=labels).loss.backward()
    missing = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert missing == []
    half = labels.clone()
    half[:, 16:] = 255
    with torch.no_grad():
        logits = model(**batch).logits.float()
        torch.testing.assert_close(model(**batch, labels=half).loss, F.cross_entropy(logits[:, :, :16], labels[:, :16]))


def test_saved_and_loaded_exactly(system, batch, tmp_path):
    loaded = load_system(save_system(system, tmp_path / "saved"))
    state = loaded.model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in system.model.state_dict().items())
    again = loaded.processor(images=[(picture(0), picture(1)), (picture(2), picture(3))])
    assert all(torch.equal(again[name].to(value.dtype), value) for name, value in batch.items())
    with torch.no_grad():
        torch.testing.assert_close(loaded.model(**batch).logits, system.model(**batch).logits, atol=1e-12, rtol=0)


def test_bad_input_is_named(system, batch):
    with pytest.raises(ProcessingError, match=r"compares 2 date\(s\)"):
        system.model(**{**batch, "pixel_values": batch["pixel_values"][:, 0]})
    with pytest.raises(ProcessingError, match="one tuple of 2 pictures per place"):
        system.processor(images=[picture(0), picture(1)])
    with pytest.raises(ConfigError, match="there are 3 prompts"):
        load_preset("changeclip", ["prompts=[a, b, c]"])
    with pytest.raises(ConfigError, match="four blocks of 1 to 12"):
        build_meta_model(load_preset("changeclip", ["layers=[4, 6, 8, 13]"]))
    with pytest.raises(ConfigError, match="Did you mean 'changeclip'"):
        load_preset("changeclip", ["head.type=changeclop"])
