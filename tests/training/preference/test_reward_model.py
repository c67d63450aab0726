"""A reward model prefers what it was trained to prefer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PIL import Image

from geoprose.data.preferences import answer_of, rejected_of
from geoprose.training.preference.reward_head import RewardHead
from geoprose.training.preference.reward_model import RewardModel
from geoprose.training.preference.rewards.base import Frame, score
from geoprose.training.run import run_recipe
from geoprose.training.specs.rewards import ModelRewardSpec
from tests.fixtures.preferences import make_pairs, write_preferences
from tests.fixtures.training import stage, write_recipe

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.core.types import Sample


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_preferences(tmp_path_factory.mktemp("reward"), 2)
    losses = [{"type": "reward_pairs"}]
    recipe = write_recipe(folder, [stage(losses=losses, packing="shared_prefix", steps=20, learning_rate=3e-3)])
    run_recipe(recipe, out_dir=folder / "run", data_dir=folder)
    return folder


def _pictures(folder: Path, sample: Sample) -> tuple[Image.Image, ...]:
    return tuple(Image.open(folder / image).convert("RGB") for image in sample.images)


def test_it_ranks_the_pairs_it_saw(trained: Path) -> None:
    model = RewardModel.load(trained / "run" / "system")
    pairs = make_pairs(trained, 2)
    right = [model.best_of(pair, _pictures(trained, pair), [str(rejected_of(pair)), answer_of(pair)]) for pair in pairs]
    assert sum(right) / len(right) > 0.8


def test_answers_do_not_see_each_other(trained: Path) -> None:
    model = RewardModel.load(trained / "run" / "system")
    (pair, *_) = make_pairs(trained, 1)
    pictures = _pictures(trained, pair)
    together = model.score(pair, pictures, ["yes", "no", "water"])
    alone = [model.score(pair, pictures, [text])[0] for text in ("yes", "no", "water")]
    assert together == pytest.approx(alone, abs=1e-4)
    spec = ModelRewardSpec(system=str(trained / "run" / "system"))
    assert score(spec, "no", pair, Frame("geoprose", (32, 32), pictures)) == pytest.approx(alone[1], abs=1e-4)
    assert isinstance(model.head, RewardHead)
