"""What the lexical losses compare with."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from geoprose.core.errors import DataError
from geoprose.core.types import Message, Sample
from geoprose.data.mixture import Unit
from geoprose.models.parts.connectors.compass import SUMMARIES, compass_cover
from geoprose.systems.build import build_system
from geoprose.training.losses.supervision import (
    caption_vocabulary,
    caption_words,
    cell_targets,
    cells_of,
    labelled_pictures,
    token_cover,
    word_embeddings,
)

_ONE = ("a.png",)


def _sample(cells: object, images: tuple[str, ...] = ("a.png",), answer: str = "yes") -> Sample:
    messages = (Message("user", "<image>\nQ"), Message("assistant", answer))
    return Sample("s", images, messages, meta={"cell_composition": cells})  # type: ignore[dict-item]


def test_cells_may_be_flat_or_nested() -> None:
    flat = [{"water": 1.0}, {"ice": 1.0}, {}, {"ice": 0.5}]
    assert cells_of(_sample(flat)) == cells_of(_sample([flat[:2], flat[2:]])) == flat
    assert cells_of(_sample(None)) == []


def test_targets_follow_the_rows() -> None:
    cells = [{"a": 1.0}, {"b": 1.0}, {"a": 0.5, "b": 0.25}, {}]
    targets = cell_targets(cells, _ONE, ("a", "b"), np.eye(4, dtype=np.float32))
    expected = [[[1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [2 / 3, 1 / 3, 0.75], [0.0, 0.0, 0.0]]]
    assert np.allclose(targets, expected)


def test_coarse_cells_are_repeated_and_fine_ones_averaged() -> None:
    cells = [{"a": 1.0}, {"b": 1.0}, {"a": 1.0}, {"b": 1.0}]
    fine = cell_targets(cells, _ONE, ("a", "b"), np.eye(16, dtype=np.float32))[0]
    assert fine.reshape(4, 4, 3)[:, :2, 0].min() == 1.0
    assert fine.reshape(4, 4, 3)[:, 2:, 1].min() == 1.0
    coarse = cell_targets(cells, _ONE, ("a", "b"), np.eye(1, dtype=np.float32))[0]
    assert coarse.tolist() == [[0.5, 0.5, 1.0]]


def test_two_images_take_their_own_cells() -> None:
    targets = cell_targets([{"a": 1.0}, {"b": 1.0}], ("a.png", "b.png"), ("a", "b"), np.eye(1, dtype=np.float32))
    assert targets.tolist() == [[[1.0, 0.0, 1.0]], [[0.0, 1.0, 1.0]]]


@pytest.mark.parametrize("cells", [[], [{"a": 1.0}] * 2, [{"a": 1.0}] * 9])
def test_cells_that_do_not_fit_are_refused(cells: list[dict[str, float]]) -> None:
    with pytest.raises(DataError, match="cell"):
        cell_targets(cells, _ONE, ("a",), np.eye(4, dtype=np.float32))


def test_every_picture_needs_cells_in_one_of_its_samples() -> None:
    labelled, caption, bare = _sample([{"a": 1.0}]), _sample(None), _sample(None, ("b.png",))
    assert labelled_pictures([("x", [caption, labelled])]) == {("x", _ONE): [{"a": 1.0}]}
    with pytest.raises(DataError, match="1 of 3 samples show pictures without"):
        labelled_pictures([("x", [labelled, caption, bare])])


def test_pictures_of_two_folders_may_have_one_name() -> None:
    ours, theirs = _sample([{"a": 1.0}]), _sample([{"b": 1.0}])
    both = labelled_pictures([("x", [ours]), ("y", [theirs])])
    assert both == {("x", _ONE): [{"a": 1.0}], ("y", _ONE): [{"b": 1.0}]}
    with pytest.raises(DataError, match="1 of 2 samples"):
        labelled_pictures([("x", [ours]), ("y", [_sample(None)])])


def test_cover_is_the_identity_for_a_square_grid() -> None:
    places, cover = token_cover(object(), 9)
    assert np.array_equal(cover, np.eye(9))
    assert places.tolist() == list(range(9))
    with pytest.raises(DataError, match="square"):
        token_cover(object(), 5)


def test_a_connector_may_say_what_its_tokens_cover() -> None:
    class Pooled:
        def token_cover(self) -> torch.Tensor:
            return torch.tensor([[0.0] * 4, [0.25] * 4])

    cells = [{"a": 1.0}, {"b": 1.0}, {"a": 1.0}, {"a": 1.0}]
    targets = cell_targets(cells, _ONE, ("a", "b"), token_cover(Pooled(), 2)[1])
    assert token_cover(Pooled(), 2)[0].tolist() == [1], "a token without a share shows nothing"
    assert targets.tolist() == [[[0.75, 0.25, 1.0]]]


def test_a_contrast_shows_what_lies_more_on_its_side() -> None:
    north_minus_south = np.array([[0.5, 0.5, -0.5, -0.5]], dtype=np.float32)
    cells = [{"a": 1.0}, {"a": 1.0}, {"b": 1.0}, {"a": 0.5, "b": 0.5}]
    targets = cell_targets(cells, _ONE, ("a", "b"), north_minus_south)[0]
    assert targets.tolist() == [
        [1.0, 0.0, 1.0]
    ]  # a: 1 - 0.25 = 0.75, b: -0.75 is clipped; weight 3 * 0.75 clipped to 1
    same = cell_targets([{"a": 1.0}] * 4, _ONE, ("a", "b"), north_minus_south)[0]
    assert same[0].tolist() == pytest.approx([0.0, 0.0, 0.05])


def test_a_class_counts_in_the_direction_to_which_it_leans_most() -> None:
    cells = [{"a": 1.0}, {"a": 0.5, "b": 0.5}, {"b": 1.0}, {"b": 1.0}]
    targets = cell_targets(cells, _ONE, ("a", "b"), compass_cover(2).numpy())[0]
    # a leans 0.75 to the north and 0.25 to the west, b as much to the south and to the east: (1/3)^4 of 0.25 is left
    faint = 0.25 / 81
    expected = {
        "whole": [0.375, 0.625, 1.0],
        "north": [1.0, 0.0, 1.0],
        "south": [0.0, 1.0, 1.0],
        "east": [0.0, 1.0, 0.05],
        "west": [1.0, 0.0, 0.05],
    }
    assert np.allclose(targets, [expected[name] for name in SUMMARIES])
    assert 3 * faint < 0.05, "and so weighs as little as a direction where nothing lies"


def test_caption_words() -> None:
    samples = [_sample(None, answer="A river with many boats."), _sample(None, answer="The river bends.")]
    vocabulary = caption_vocabulary(samples)
    assert vocabulary == ["bends", "boats", "river"]
    unit = Unit(("a.png", "b.png"), (samples[0],), ".")
    assert caption_words(unit, vocabulary).tolist() == [[0.0, 1.0, 1.0]] * 2
    with pytest.raises(DataError, match="four letters"):
        caption_vocabulary([_sample(None, answer="no")])


def test_word_embedding_is_the_mean_of_its_tokens() -> None:
    system = build_system("demo", scale="tiny")
    table = system.model.get_input_embeddings().weight.double()
    ids = system.processor.tokenizer(" ice", add_special_tokens=False)["input_ids"]
    assert len(ids) == 4
    assert torch.allclose(word_embeddings(system, ["ice"])[0], table[ids].mean(0))
