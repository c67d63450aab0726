"""Packing, padding and accumulation do not change what is learnt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from geoprose.data.collator import Collator, Row
from geoprose.data.mixture import Unit, units_of
from geoprose.systems.build import build_system
from geoprose.training.losses.base import Forward, LossContext
from geoprose.training.losses.lm import LmLoss
from geoprose.training.rows.packing import RowOptions, encode_unit
from geoprose.training.specs.loss_language import LmLossSpec
from tests.fixtures.training import make_samples, stage, write_recipe, write_tiny_data

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def system() -> Any:
    return build_system("demo", scale="tiny", dtype=torch.float64)


def _rows(system: Any, units: list[Unit], share: bool) -> list[Row]:
    torch.manual_seed(0)
    encoder = system.model.model.vision_encoder
    features = {f"images/{n}.png": torch.randn(1, encoder.num_patches(), encoder.hidden_size) for n in range(2)}
    rows = []
    for unit in units:
        row = encode_unit(system.processor, unit, [system.processor.num_visual_tokens], RowOptions(share))
        row.visual = {"vision_features": features[unit.images[0]].double()}
        rows.append(row)
    return rows


def _loss_and_gradients(
    system: Any, rows: list[Row], join: bool = False
) -> tuple[torch.Tensor, dict[str, torch.Tensor], float]:
    system.model.zero_grad()
    loss = LmLoss(LmLossSpec(), LossContext(system))
    batch = Collator(system.processor.tokenizer.pad_token_id, join_rows=join)(rows)
    total = loss.loss_sum(Forward(system.model, batch))
    total.backward()
    gradients = {n: p.grad.clone() for n, p in system.model.named_parameters() if p.grad is not None}
    return total.detach(), gradients, loss.num_items(batch)


def test_packed_equals_unpacked(system: Any, tmp_path: Path) -> None:
    samples = make_samples(tmp_path, 2)
    packed = _rows(system, units_of(samples, "r", lambda sample: True), share=True)
    plain = _rows(system, units_of(samples, "r"), share=False)
    assert len(packed) == 2 < len(plain)
    assert any(row.is_packed for row in packed)
    loss_packed, gradients_packed, items_packed = _loss_and_gradients(system, packed)
    loss_plain, gradients_plain, items_plain = _loss_and_gradients(system, plain)
    assert items_packed == items_plain > 0
    loss_joined, gradients_joined, _ = _loss_and_gradients(system, packed, join=True)
    # Float64; RMSNorm and RoPE of transformers still compute in float32, hence not 1e-12.
    assert float(loss_packed) == pytest.approx(float(loss_plain), rel=1e-6)
    assert float(loss_joined) == pytest.approx(float(loss_plain), rel=1e-6)
    assert gradients_packed.keys() == gradients_joined.keys() == gradients_plain.keys()
    for name, gradient in gradients_plain.items():
        scale = float(gradient.abs().max()) + 1e-12
        for other in (gradients_packed, gradients_joined):
            assert float((other[name] - gradient).abs().max()) / scale < 1e-5, name


def test_a_leak_between_branches_would_be_seen(system: Any, tmp_path: Path) -> None:
    """Negative control: with a plain causal mask the packed loss is another one."""
    rows = _rows(system, units_of(make_samples(tmp_path, 1), "r", lambda sample: True), share=True)
    right = _loss_and_gradients(system, rows)[0]
    for row in rows:
        row.segments = [0] * len(row.segments)
    assert abs(float(_loss_and_gradients(system, rows)[0] - right)) > 1e-3


def test_accumulation_equals_one_batch(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    from geoprose.training.run import run_recipe

    write_tiny_data(tmp_path, 4)
    ends = []
    for batch_size, accumulation in ((4, 1), (2, 2), (1, 4)):
        spec = stage(packing="shared_prefix", batch_size=batch_size, accumulation=accumulation, steps=2)
        recipe = write_recipe(tmp_path, [spec])
        out = tmp_path / f"run-{accumulation}"
        run_recipe(recipe, out_dir=out, data_dir=tmp_path)
        ends.append(load_file(out / "stages" / "01-align" / "done" / "weights.safetensors"))
    # Answers per image differ (4 or 5), so a mean of means would be off by percents; float32 sums differ by order only.
    for other in ends[1:]:
        for name, tensor in ends[0].items():
            torch.testing.assert_close(other[name], tensor, rtol=1e-3, atol=2e-5)
