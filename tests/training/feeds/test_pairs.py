"""Batches of pairs: pictures in order, texts beside them, keys that say what two pairs share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from geoprose.core.errors import DataError
from geoprose.core.types import Message, Sample
from geoprose.data.mixture import Unit
from geoprose.systems.build import build_system
from geoprose.training.feeds.base import FeedContext
from geoprose.training.feeds.pairs import PairFeed, key_of, pair_of
from geoprose.training.feeds.pictures import PictureFeed
from geoprose.training.losses.base import LossContext
from geoprose.training.losses.contrastive import ClipLoss
from geoprose.training.specs.loss_contrastive import ClipLossSpec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Pictures:
    """Stands for ``Vision``: a picture is its number."""

    key = "pixel_values"
    tiles = 1

    def load(self, system: Any, paths: Sequence[Path]) -> torch.Tensor:
        return torch.tensor([float(path.stem) for path in paths]).repeat(self.tiles)


def unit(picture: str, *texts: str, seed: int = 0) -> Unit:
    samples = tuple(Sample(f"{picture}-{text}", (picture,), (Message("assistant", text),)) for text in texts)
    return Unit((picture,), samples, "/data", (seed,))


@pytest.fixture(scope="module")
def context() -> FeedContext:
    system = build_system("vit-bert", scale="tiny")
    loss = ClipLoss(ClipLossSpec(), LossContext(system))
    return FeedContext(None, system, Pictures(), (loss,))  # type: ignore[arg-type] # the feed reads no stage


def test_pictures_texts_and_keys_stand_in_the_order_of_the_units(context: FeedContext) -> None:
    batch = PairFeed(context).batch([unit("3.png", "a river"), unit("1.png", "sand"), unit("3.png", "sand")])
    assert batch["pixel_values"].tolist() == [3.0, 1.0, 3.0]
    tokenizer = context.system.processor.tokenizer
    texts = tokenizer.batch_decode(batch["text_ids"], skip_special_tokens=True)
    assert texts == ["a river", "sand", "sand"]
    text, picture = batch["text_key"].tolist(), batch["picture_key"].tolist()
    assert text[1] == text[2] != text[0]
    assert picture[0] == picture[2] != picture[1]
    assert int(batch["num_tokens"]) == int(batch["text_mask"].sum())


def test_a_caption_of_several_is_drawn_by_the_seed_of_the_visit(context: FeedContext) -> None:
    several = [pair_of(unit("a.png", *"01234", seed=seed)).samples[0].id for seed in range(40)]
    assert set(several) == {f"a.png-{number}" for number in range(5)}
    assert pair_of(unit("a.png", *"01234", seed=3)) == pair_of(unit("a.png", *"01234", seed=3))
    assert key_of("a") == key_of("a") != key_of("b")
    feed = PairFeed(context)
    assert feed.length(unit("a.png", "a long caption")) > feed.length(unit("a.png", "short"))


def test_what_makes_no_pair_is_named(context: FeedContext) -> None:
    bare = Unit((), (Sample("t", (), (Message("assistant", "hills"),)),), "/data")
    with pytest.raises(DataError, match="min_images: 1"):
        pair_of(bare)
    with pytest.raises(DataError, match="holds no answer"):
        PairFeed(context).batch([Unit(("1.png",), (Sample("t", ("1.png",), (Message("user", "?"),)),), "/data")])
    with pytest.raises(DataError, match="shows no picture"):
        PictureFeed(context).batch([bare])
    tiled = Pictures()
    tiled.tiles = 2
    cut = FeedContext(None, context.system, tiled, context.losses)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="one tile a picture"):
        PairFeed(cut).batch([unit("1.png", "sand")])


def test_pictures_alone(context: FeedContext) -> None:
    feed = PictureFeed(context)
    batch = feed.batch([unit("1.png", "x"), unit("2.png", "y")])
    assert batch["pixel_values"].tolist() == [1.0, 2.0]
    assert int(batch["num_tokens"]) == 2
    assert feed.length(unit("1.png", "x")) == 1
