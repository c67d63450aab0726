"""Cross-entropy and Dice of masks by hand, and dense heads that learn a mask."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from geoprose.core.errors import ConfigError, DataError
from geoprose.core.types import Message, Sample
from geoprose.data.mixture import Unit
from geoprose.data.neutral import write_samples
from geoprose.systems.build import build_system
from geoprose.training.feeds.base import FeedContext
from geoprose.training.feeds.masks import MaskFeed, read_mask
from geoprose.training.losses.base import LossContext
from geoprose.training.losses.segmentation import (
    SegmentationLoss,
    classes_of,
    dice_loss_sum,
    pixel_cross_entropy_sum,
)
from geoprose.training.run import run_recipe
from geoprose.training.specs.loss_dense import SegmentationLossSpec
from tests.fixtures.pairs import pair_stage
from tests.fixtures.training import write_recipe

if TYPE_CHECKING:
    from pathlib import Path


def test_values_become_classes() -> None:
    mask = torch.tensor([[[0, 255, 7]]])
    assert classes_of(mask, [[0], [255]], 2).tolist() == [[[0, 1, 255]]]
    assert classes_of(mask, [], 2).tolist() == [[[0, 255, 255]]]


def test_dice_by_hand() -> None:
    # Two pixels of class 0 and one that does not count; probabilities of class 0: 3/4 and 1/4.
    logits = torch.tensor([[[[math.log(3.0), 0.0, 9.0]], [[0.0, math.log(3.0), 0.0]]]], dtype=torch.float64)
    labels = torch.tensor([[[0, 0, 255]]])
    expected = 1 - (2 * (0.75 + 0.25) + 1) / (1.0 + 2.0 + 1)
    assert math.isclose(float(dice_loss_sum(logits, labels)), expected, rel_tol=1e-12)
    assert float(dice_loss_sum(logits, torch.full_like(labels, 255))) == 0.0


def test_a_perfect_mask_costs_nothing_and_places_count_alike() -> None:
    labels = torch.randint(0, 3, (2, 4, 4))
    logits = F.one_hot(labels, 3).permute(0, 3, 1, 2) * 50.0
    assert float(dice_loss_sum(logits, labels)) < 1e-6
    scores = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    known = labels.clone()
    known[0, 1:] = 255
    expected = sum(F.cross_entropy(scores[n : n + 1], known[n : n + 1], ignore_index=255) for n in range(2))
    assert math.isclose(float(pixel_cross_entropy_sum(scores, known)), float(expected), rel_tol=1e-12)


def write_places(folder: Path, num_dates: int) -> None:
    """Six places whose mask is where the last picture is bright."""
    random, samples = np.random.default_rng(0), []
    for number in range(6):
        truth = np.zeros((32, 32), np.uint8)
        low = random.integers(0, 16, 2)
        truth[low[0] : low[0] + 16, low[1] : low[1] + 16] = 255
        Image.fromarray(truth).save(folder / f"{number}-mask.png")
        names = []
        for date in range(num_dates):
            shown = truth if date == num_dates - 1 else np.zeros_like(truth)
            names.append(f"{number}-{date}.png")
            Image.fromarray(np.stack([shown // 2 + 60] * 3, -1)).save(folder / names[-1])
        messages = (Message("user", "<image>" * num_dates), Message("assistant", "mask"))
        samples.append(Sample(str(number), tuple(names), messages, "change", meta={"mask": f"{number}-mask.png"}))
    write_samples(samples, folder / "train.jsonl")


@pytest.mark.parametrize(
    ("system", "num_dates"), [("changeclip", 2), pytest.param("segclip", 1, marks=pytest.mark.slow)]
)
def test_a_head_learns_its_mask(tmp_path: Path, system: str, num_dates: int) -> None:
    write_places(tmp_path, num_dates)
    values = [[0], [255]] if system == "changeclip" else [[0], [255], [], [], [], []]
    loss = {"type": "segmentation", "values": values}
    stage = pair_stage(losses=[loss], trainable=["head.*"], steps=12, batch_size=6, learning_rate=5e-3)
    result = run_recipe(write_recipe(tmp_path, [stage], system=system), out_dir=tmp_path / "run", data_dir=tmp_path)
    (log,) = result.out_dir.rglob("log.jsonl")
    found = [json.loads(line)["loss"] for line in log.read_text().splitlines()]
    assert found[-1] < 0.8 * found[0]


def test_masks_are_resized_without_mixing_and_bad_ones_are_named(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).save(tmp_path / "m.png")
    assert set(np.unique(read_mask(tmp_path / "m.png", (8, 6)))) == {0, 255}
    assert read_mask(tmp_path / "m.png", (8, 6)).shape == (6, 8)
    with pytest.raises(DataError, match="cannot be read as a mask"):
        read_mask(tmp_path / "none.png", (2, 2))


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    system: Any = build_system("changeclip", scale="tiny")
    with pytest.raises(ConfigError, match="values of 3 classes"):
        SegmentationLoss(SegmentationLossSpec(values=((0,), (1,), (2,))), LossContext(system))
    feed = MaskFeed(FeedContext(None, system, None, ()))  # type: ignore[arg-type] # neither is read before the check
    with pytest.raises(DataError, match="learns from 2 and a path"):
        feed.batch([Unit(("a.png",), (Sample("a", ("a.png",), ()),), str(tmp_path))])
    cropped = build_system("clip-vit-l-14", scale="tiny")
    with pytest.raises(ConfigError, match="mode: resize"):
        MaskFeed(FeedContext(None, cropped, None, ()))  # type: ignore[arg-type]
