"""What a stage sets before its first step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from geoprose.core.errors import ConfigError
from geoprose.data.collator import Row
from geoprose.data.mixture import units_of
from geoprose.systems.build import build_system
from geoprose.training.initialise import interpolate_words, prepare, set_direction_words, set_word_span
from geoprose.training.losses.base import Forward, LossContext
from geoprose.training.losses.lexical_alignment import LexicalAlignmentLoss
from geoprose.training.losses.supervision import word_embeddings
from geoprose.training.specs.loss_language import LexicalAlignmentSpec
from geoprose.training.specs.prepare import DirectionWordsSpec, InputStatisticsSpec, WordSpanSpec
from tests.fixtures.training import make_samples

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def system() -> Any:
    return build_system("demo", scale="tiny")


def test_words_are_spread_evenly() -> None:
    spread = interpolate_words(torch.tensor([[0.0], [3.0]]), 4)
    assert spread.flatten().tolist() == [0.0, 1.0, 2.0, 3.0]
    assert interpolate_words(torch.tensor([[0.0], [3.0], [4.0]]), 5).flatten().tolist() == [0.0, 1.5, 3.0, 3.5, 4.0]
    assert interpolate_words(torch.tensor([[2.0]]), 3).flatten().tolist() == [2.0, 2.0, 2.0]


def test_corners_point_to_their_words(system: Any) -> None:
    set_direction_words(system, DirectionWordsSpec())
    vectors = system.model.model.connector.position_vectors.detach()
    cells = vectors[-16:]  # summary tokens, where the connector has them, come first
    north, south, west, east = word_embeddings(system, ["north", "south", "west", "east"]).float()
    expected = (north - south) / 2 + (west - east) / 2
    torch.testing.assert_close(cells[0], expected)
    torch.testing.assert_close(cells.mean(0), torch.zeros_like(expected), atol=1e-5, rtol=0)


def test_tokens_take_the_mean_of_their_words(system: Any) -> None:
    count = len(system.model.model.connector.position_vectors)
    words = (("north", "west"), *[("ice",)] * (count - 1))
    set_direction_words(system, DirectionWordsSpec(tokens=words, scale=0.5))
    first = system.model.model.connector.position_vectors[0].detach()
    torch.testing.assert_close(first, 0.5 * word_embeddings(system, ["north", "west"]).float().mean(0))
    with pytest.raises(ConfigError, match="lists 1 tokens"):
        set_direction_words(system, DirectionWordsSpec(tokens=(("north",),)))


def test_word_span(system: Any) -> None:
    connector = system.model.model.connector
    name = next(n for n, p in connector.named_modules() if isinstance(p, torch.nn.Linear) and p.in_features == 32)
    step = WordSpanSpec(words=("water", "ice"), layers={name: 2.0}, bias_share=0.5)
    set_word_span(system, step, seed=3)
    layer = connector.get_submodule(name)
    words = word_embeddings(system, ["water", "ice"]).float()
    assert torch.linalg.matrix_rank(layer.weight.detach(), tol=1e-4) == 2
    stacked = torch.cat([words, layer.weight.detach().T])
    assert torch.linalg.matrix_rank(stacked, tol=1e-3) == 2, "nothing lies outside the span of the words"
    with pytest.raises(ConfigError, match="layer"):
        set_word_span(system, WordSpanSpec(words=("ice",), layers={"nowhere": 1.0}), seed=0)


def test_what_a_connector_lacks_is_refused(system: Any) -> None:
    plain = build_system("llava-1.5", scale="tiny")
    with pytest.raises(ConfigError, match="position_grid"):
        set_direction_words(plain, DirectionWordsSpec())
    with pytest.raises(ConfigError, match="frozen"):
        prepare(system, [InputStatisticsSpec()], None, [])


def test_summary_tokens_start_between_their_cells() -> None:
    system = build_system("demo", scale="tiny")
    vectors = system.model.model.connector.position_vectors
    with torch.no_grad():
        vectors.fill_(7.0)
    set_direction_words(system, DirectionWordsSpec())
    north, marker, south = vectors.detach()[1:4]
    torch.testing.assert_close(north, -south, rtol=1e-4, atol=1e-5)
    assert float(north.norm()) > 0.1
    assert torch.equal(marker, torch.full_like(marker, 7.0)), "a marker shows no cell"


def test_tokens_may_have_their_own_scale(system: Any) -> None:
    vectors = system.model.model.connector.position_vectors
    step = DirectionWordsSpec(tokens=(("ice",),) * len(vectors), scale=0.5, token_scales={1: 2.0})
    set_direction_words(system, step)
    torch.testing.assert_close(vectors.detach()[1], 4 * vectors.detach()[0])


def test_the_lexical_loss_leaves_positions_alone(tmp_path: Path) -> None:
    system = build_system("demo", scale="tiny")
    set_direction_words(system, DirectionWordsSpec())
    samples = make_samples(tmp_path, 2)
    spec = LexicalAlignmentSpec(readout_weight=1.0)
    loss = LexicalAlignmentLoss(spec, LossContext(system, [("r", samples)]))
    unit = units_of(samples, "r", lambda sample: True)[0]
    row = Row([], [], [], [])
    loss.add_targets(row, unit)
    assert row.targets["lexical_cells"].shape == (1, 21, 4), (
        "whole, four contrasts and 16 cells; three classes and a weight"
    )
    encoder = system.model.model.vision_encoder
    features = torch.randn(1, encoder.num_patches(), encoder.hidden_size)
    batch = {"vision_features": features, "lexical_cells": torch.from_numpy(row.targets["lexical_cells"])}
    loss.loss_sum(Forward(system.model, batch)).backward()
    connector = system.model.model.connector
    assert float(connector.position_vectors.grad.abs().max()) < 1e-6
    assert float(connector.contrast_layer.weight.grad.abs().max()) > 0
    assert set(loss.parameters) == {"scale", "bias"}
    assert all(parameter.grad is not None for parameter in loss.parameters.values())
