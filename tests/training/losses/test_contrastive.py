"""clip and siglip against the classes of transformers, in float64, and their gradients over a batch in chunks."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from geoprose.core.errors import ConfigError
from geoprose.systems.build import build_system
from geoprose.systems.interop import REFERENCES
from geoprose.training.forward import Forward
from geoprose.training.losses.base import LossContext
from geoprose.training.losses.contrastive import ClipLoss, SiglipLoss, TowerLoss, hold_scale
from geoprose.training.specs.loss_contrastive import ClipLossSpec, SiglipLossSpec

TEXTS = ["a river", "a dark forest", "sand", "roads and houses"]


@pytest.fixture(scope="module", params=["clip-vit-l-14", "siglip-so400m"])
def system(request: pytest.FixtureRequest) -> Any:
    built = build_system(request.param, scale="tiny")
    built.model.double().eval()
    return built


def make_loss(system: Any, **spec: Any) -> TowerLoss:
    if system.spec.logits.loss == "sigmoid":
        return SiglipLoss(SiglipLossSpec(**spec), LossContext(system))
    return ClipLoss(ClipLossSpec(**spec), LossContext(system))


def make_batch(loss: TowerLoss) -> dict[str, Any]:
    random = np.random.default_rng(0)
    pictures = [Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8)) for _ in TEXTS]
    pixels = loss.context.system.processor.encode_images(pictures)["pixel_values"].double()
    keys = {"text_key": torch.arange(len(TEXTS)), "picture_key": torch.arange(len(TEXTS))}
    return {"pixel_values": pixels, **loss.encode_partners(TEXTS), **keys}


def test_the_loss_is_that_of_transformers(system: Any) -> None:
    loss = make_loss(system)
    batch = make_batch(loss)
    reference: Any = REFERENCES.get(str(system.spec.reference))()
    theirs = reference.build(system.model).double().eval()
    inputs = {"pixel_values": batch["pixel_values"], "input_ids": batch["text_ids"]}
    if "text_mask" in batch:
        inputs["attention_mask"] = batch["text_mask"]
    with torch.no_grad():
        ours = float(loss.loss_sum(Forward(system.model, batch))) / loss.num_items(batch)
        expected = float(theirs(**reference.inputs(inputs), return_loss=True).loss)
        own = system.model(**inputs, return_loss=True).loss
        mixed = float(
            theirs(**reference.inputs({**inputs, "input_ids": batch["text_ids"].flip(0)}), return_loss=True).loss
        )
    assert math.isclose(ours, expected, rel_tol=1e-10)
    assert math.isclose(ours, float(own), rel_tol=1e-12)
    assert abs(mixed - expected) > 1e-6


def test_chunks_change_neither_loss_nor_gradient(system: Any) -> None:
    named = {n: p for n, p in system.model.named_parameters() if p.requires_grad}
    results = []
    for chunk in (None, 1, 3):
        loss = make_loss(system, chunk_pairs=chunk)
        value = loss.loss_sum(Forward(system.model, make_batch(loss)))
        gradients = torch.autograd.grad(value, list(named.values()), allow_unused=True)
        results.append((float(value.detach()), [g for g in gradients if g is not None]))
    for value, gradients in results[1:]:
        assert math.isclose(value, results[0][0], rel_tol=1e-12)
        for ours, whole in zip(gradients, results[0][1], strict=True):
            assert float((ours - whole).abs().max()) <= 1e-9 * max(1.0, float(whole.abs().max()))


def test_two_processes_add_up_to_the_whole_batch(system: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process sums over its own pairs against all of them; here the gathering is played by hand."""
    from geoprose.training.losses import contrastive, pairs

    loss = make_loss(system)
    batch = make_batch(loss)
    with torch.no_grad():
        whole = float(loss.loss_sum(Forward(system.model, batch)))
        pictures, texts = loss.embeddings(Forward(system.model, batch))
    total = 0.0
    for start in (0, 1):  # one pair, then three
        rows = slice(0, 1) if start == 0 else slice(1, 4)
        monkeypatch.setattr(pairs, "first_row", lambda _, start=start: start)
        monkeypatch.setattr(pairs, "all_rows", lambda keys: torch.arange(4))
        sides = {pictures[rows].data_ptr(): pictures, texts[rows].data_ptr(): texts}
        monkeypatch.setattr(contrastive, "gather_with_grad", lambda t, sides=sides: sides[t.data_ptr()])
        local = {"text_key": torch.arange(4)[rows], "picture_key": torch.arange(4)[rows]}
        forward = Forward(system.model, local)
        forward.once("tower_embeddings", lambda rows=rows: (pictures[rows], texts[rows]))
        with torch.no_grad():
            total += float(loss.loss_sum(forward))
    assert math.isclose(total, whole, rel_tol=1e-12)


def test_the_scale_is_held_and_can_come_back() -> None:
    config = SimpleNamespace(logits={"max_scale": 100.0})
    model = SimpleNamespace(logit_scale=torch.nn.Parameter(torch.tensor([7.0])), config=config)
    hold_scale(model)
    assert math.isclose(float(model.logit_scale.exp().detach()), 100.0, rel_tol=1e-5)
    model.logit_scale.exp().clamp(max=100.001).backward()
    assert float(model.logit_scale.grad) > 0


def test_a_frozen_side_may_be_rounded() -> None:
    system = build_system("clip-vit-l-14", scale="tiny")
    system.model.vision.bfloat16()
    system.model.vision_projection.bfloat16()
    loss = make_loss(system)
    batch = make_batch(loss)
    value = loss.loss_sum(Forward(system.model, {**batch, "pixel_values": batch["pixel_values"].float()}))
    assert value.dtype == torch.float32
    assert math.isfinite(float(value.detach()))


def test_siglip_needs_a_bias() -> None:
    system = build_system("vit-bert", scale="tiny")
    with pytest.raises(ConfigError, match="bias_init"):
        SiglipLoss(SiglipLossSpec(), LossContext(system))
