"""Batches of conversations, through the model and its loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from geoprose.core.errors import DataError
from geoprose.data.neutral import read_samples
from geoprose.systems.build import build_system
from geoprose.training.feeds.base import FeedContext
from geoprose.training.feeds.conversation import ConversationFeed
from geoprose.training.forward import Forward
from geoprose.training.losses.base import LossContext
from geoprose.training.losses.lm import LmLoss
from geoprose.training.pictures.images import ImageScan
from geoprose.training.pictures.vision import Vision
from geoprose.training.rows.batches import StageBatches, build_mixture, load_source
from geoprose.training.specs.loss_language import LmLossSpec
from geoprose.training.specs.stage import StageSpec
from tests.fixtures.systems_data import write_system_data
from tests.fixtures.training import stage

if TYPE_CHECKING:
    from pathlib import Path

PIXELS = Vision(ImageScan({}, {}), None)


def _loss(system: Any, folder: Path, **changes: Any) -> tuple[float, float]:
    """Return loss and items of all samples of the folder, batch by batch."""
    spec = StageSpec.model_validate(stage(**changes))
    losses = [LmLoss(LmLossSpec(), LossContext(system))]
    mixture = build_mixture(spec, [load_source(spec.data[0], folder)], seed=0)
    batches = StageBatches(spec, system, mixture, PIXELS, losses)
    total = items = 0.0
    for number in range(batches.plan.batches_per_epoch):
        batch = batches[number]
        with torch.no_grad():
            total += float(losses[0].loss_sum(Forward(system.model, batch)))
        items += losses[0].num_items(batch)
    return total, items


@pytest.mark.parametrize(
    "name",
    [
        "internvl-2.5",
        "qwen2-vl",
        "blip2-opt",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("deepseek-vl2", "emu3", "cogvlm2", "instructblip-vicuna")
        ),
    ],
)
def test_packed_loss_equals_padded_loss(name: str, tmp_path: Path) -> None:
    system: Any = build_system(name, scale="tiny", dtype=torch.float64)
    system.model.eval()
    write_system_data(tmp_path, system)
    padded, items = _loss(system, tmp_path, batch_size=3, steps=9)
    packed, packed_items = _loss(system, tmp_path, packing="packed", max_row_tokens=1500, batch_size=1, steps=9)
    assert packed_items == items > 0
    # Float64; norms and rotary positions of transformers compute in float32.
    assert packed == pytest.approx(padded, rel=1e-6)
    grouped, _ = _loss(system, tmp_path, packing="length_grouped", batch_size=2, steps=9)
    assert grouped == pytest.approx(padded, rel=1e-6)


@pytest.mark.parametrize("name", ["blip2-t5", "em-vlm4ad", "instructblip-t5"])
def test_the_loss_of_an_encoder_decoder_is_the_models_own(name: str, tmp_path: Path) -> None:
    system: Any = build_system(name, scale="tiny", dtype=torch.float64)
    system.model.eval()
    write_system_data(tmp_path, system, num_samples=3)
    spec = StageSpec.model_validate(stage(batch_size=3))
    loss = LmLoss(LmLossSpec(), LossContext(system))
    mixture = build_mixture(spec, [load_source(spec.data[0], tmp_path)], seed=0)
    batch = StageBatches(spec, system, mixture, PIXELS, [loss])[0]
    assert len(batch["input_ids"]) == 4, "a conversation of two answers is two rows"
    inputs = {k: v for k, v in batch.items() if k not in ("next_ids", "num_tokens", "number")}
    with torch.no_grad():
        ours = float(loss.loss_sum(Forward(system.model, batch))) / loss.num_items(batch)
        theirs = float(system.model(**inputs, labels=batch["next_ids"]).loss)
        one = dict(inputs, decoder_input_ids=inputs["decoder_input_ids"].flip(1))
        control = float(system.model(**one, labels=batch["next_ids"]).loss)
    # The loss of transformers is computed in float32.
    assert ours == pytest.approx(theirs, rel=1e-5)
    assert ours != pytest.approx(control, rel=1e-4)


def test_a_sample_that_nobody_checked_is_still_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system: Any = build_system("llava-1.5", scale="tiny")
    write_system_data(tmp_path, system, num_samples=1)
    spec = StageSpec.model_validate(stage())
    feed = ConversationFeed(FeedContext(spec, system, PIXELS, (LmLoss(LmLossSpec(), LossContext(system)),)))
    mixture = build_mixture(spec, [load_source(spec.data[0], tmp_path)], seed=0)
    assert feed.length(mixture.unit(0, 0)) == feed.rows(mixture.unit(0, 0))[0].num_tokens
    feed.limit = 10
    with pytest.raises(DataError, match=r"Sample 0 has \d+ tokens"):
        feed.batch([mixture.unit(0, 0)])
    assert len(read_samples(tmp_path / "train.jsonl")) == 1
