"""SegCLIP-style head: masked prototypes by hand, one mask per prompt."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoprose.models.dense.contracts import DateFeatures
from geoprose.models.dense.segclip import SegclipHead, visible
from geoprose.systems.build import build_meta_model, build_system
from geoprose.systems.load import load_system
from geoprose.systems.presets import load_preset
from geoprose.systems.save import save_system
from tests.fixtures.systems import picture, randomise


@pytest.fixture(scope="module")
def system():
    system = build_system("segclip", scale="tiny", dtype=torch.float64)
    randomise(system.model, std=0.2)
    return system


def _batch(system, text=None):
    batch = system.processor(images=[picture(0), picture(1)], text=text)
    return {name: value.double() if value.is_floating_point() else value for name, value in batch.items()}


def test_visible_cells_by_hand():
    scores = torch.tensor([[[[1.0, -1.0], [-1.0, -1.0]], [[-1.0, -2.0], [-3.0, -4.0]]]])
    seen = visible(scores, (2, 2))
    assert seen.tolist() == [[[True, False, False, False], [True, True, True, True]]]


def test_masks_are_products_of_prototypes_and_pixels():
    head = SegclipHead(8, 6, channels=4, num_heads=2)
    prototypes, finest = torch.randn(1, 3, 4), torch.randn(1, 4, 5, 5)
    masks = head.masks(prototypes, finest)
    torch.testing.assert_close(masks[0, 2, 3, 1], head.norm(prototypes)[0, 2] @ finest[0, :, 3, 1])


@given(rounds=st.integers(1, 2), prompts=st.integers(1, 5), side=st.sampled_from([2, 4, 6]))
@settings(max_examples=8, deadline=None)
def test_one_mask_per_prompt_at_four_times_the_patch_grid(rounds, prompts, side):
    head = SegclipHead(8, 6, channels=4, num_heads=2, rounds=rounds)
    maps = [torch.randn(2, 8, side, side) for _ in range(4)]
    scores = head([DateFeatures(maps, torch.randn(2, 6, side, side), torch.randn(2, 6))], torch.randn(prompts, 6))
    assert scores.shape == (2, prompts, 4 * side, 4 * side)
    assert torch.isfinite(scores).all()


def test_the_order_of_prompts_is_the_order_of_masks(system):
    batch = _batch(system)
    with torch.no_grad():
        logits = system.model(**batch).logits
        flipped = system.model(**{**batch, **{k: batch[k].flip(0) for k in ("input_ids", "attention_mask")}}).logits
    assert logits.shape == (2, 6, 32, 32)
    torch.testing.assert_close(flipped.flip(1), logits)


def test_fusion_goes_both_ways():
    head = SegclipHead(8, 6, channels=4, num_heads=2).double()
    randomise(head)
    patches, texts = (torch.randn(1, size, 4, dtype=torch.float64) for size in (5, 3))
    fused, asked = head.fuse(patches, texts)
    torch.testing.assert_close(fused, head.fuse.to_patches(patches, texts))
    torch.testing.assert_close(asked, head.fuse.to_texts(texts, patches))


def test_other_classes_need_only_other_prompts(system):
    batch = _batch(system, ["water", "roads"])
    assert system.model(**batch).logits.shape == (2, 2, 32, 32)


def test_every_parameter_gets_a_gradient_and_a_folder_round_trips(system, tmp_path):
    batch = _batch(system)
    system.model.zero_grad()
    system.model(**batch, labels=torch.randint(0, 6, (2, 32, 32))).loss.backward()
    assert [name for name, p in system.model.named_parameters() if p.requires_grad and p.grad is None] == []
    loaded = load_system(save_system(system, tmp_path / "saved"))
    with torch.no_grad():
        torch.testing.assert_close(loaded.model(**batch).logits, system.model(**batch).logits, atol=1e-12, rtol=0)


def test_full_size_builds_without_memory():
    spec, model = load_preset("segclip"), build_meta_model("segclip")
    assert model.vision.grid_side() == 32
    assert len(model.head.layers) == 3 * spec.head.rounds == 9  # the decoder layers of Mask2Former
    assert sum(p.numel() for p in model.parameters()) > 149e6
