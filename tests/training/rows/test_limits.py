"""Samples that are too long are refused, left out or cut, and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from geoprose.core.errors import DataError
from geoprose.core.types import Message, Sample
from geoprose.data.collator import Row
from geoprose.systems.build import build_system
from geoprose.training.feeds.base import Feed
from geoprose.training.losses.base import LossContext
from geoprose.training.losses.lm import LmLoss
from geoprose.training.pictures.images import ImageScan
from geoprose.training.pictures.vision import Vision
from geoprose.training.rows.batches import LoadedSource, StageBatches, build_mixture, sources_that_fit
from geoprose.training.rows.limits import fit_sources, row_limit, truncated, unlimited
from geoprose.training.rows.packing import RowOptions
from geoprose.training.rows.rows import RowEncoder
from geoprose.training.specs.data import SourceSpec
from geoprose.training.specs.loss_language import LmLossSpec
from geoprose.training.specs.stage import StageSpec
from tests.fixtures.training import stage

if TYPE_CHECKING:
    from pathlib import Path

VISION = Vision(ImageScan({}, {}), None)


@pytest.fixture(scope="module")
def system() -> Any:
    return build_system("llava-1.5", scale="tiny")


def _source(folder: Path, *answers: str) -> LoadedSource:
    Image.new("RGB", (40, 40)).save(folder / "a.png")
    samples = tuple(
        Sample(str(number), ("a.png",), (Message("user", "<image>\nQ"), Message("assistant", answer)))
        for number, answer in enumerate(answers)
    )
    return LoadedSource(SourceSpec(path="train.jsonl"), samples, folder, folder / "train.jsonl")


def _stage(**changes: Any) -> StageSpec:
    return StageSpec.model_validate(stage(packing="packed", max_row_tokens=300, **changes))


def test_the_limit_is_the_context_or_the_packed_row(system: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = StageSpec.model_validate(stage())
    assert row_limit(system, plain) == min(4096, system.model.config.get_text_config().max_position_embeddings)
    assert row_limit(system, _stage()) == 300
    monkeypatch.setattr(system.processor.tokenizer, "model_max_length", 100)
    assert row_limit(system, plain) == 100
    with unlimited(system.processor.tokenizer):
        assert system.processor.tokenizer.model_max_length > 10**6
    assert system.processor.tokenizer.model_max_length == 100


def test_an_error_names_the_samples(system: Any, tmp_path: Path) -> None:
    source = _source(tmp_path, "yes", "x" * 500, "no", "x" * 400)
    with pytest.raises(DataError, match=r"2 samples are longer than the 300 tokens.*1 \(\d+ tokens\), 3 \(") as error:
        fit_sources(_stage(), RowEncoder(system, VISION, RowOptions()), [source], Feed.texts)
    assert "too_long" in str(error.value)


def test_skipping_and_cutting_are_counted(system: Any, tmp_path: Path) -> None:
    source = _source(tmp_path, "yes", "x" * 500, "no")
    encoder = RowEncoder(system, VISION, RowOptions())
    (kept,), found = fit_sources(_stage(too_long="skip"), encoder, [source], Feed.texts)
    assert [sample.id for sample in kept.samples] == ["0", "2"]
    assert found.to_dict() == {"limit": 300, "skipped": 1, "truncated": 0}
    (kept,), found = fit_sources(_stage(too_long="truncate"), encoder, [source], Feed.texts)
    assert len(kept.samples) == 3
    assert found.to_dict() == {"limit": 300, "skipped": 0, "truncated": 1}
    assert found.truncated["1"] > 500


def test_a_source_that_is_too_long_whole_is_an_empty_mixture(system: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing is left to train on"):
        fit_sources(
            _stage(too_long="skip"),
            RowEncoder(system, VISION, RowOptions()),
            [_source(tmp_path, "x" * 500)],
            Feed.texts,
        )


def test_cut_rows_are_as_long_as_the_limit(system: Any, tmp_path: Path) -> None:
    spec = _stage(too_long="truncate", batch_size=1)
    losses = [LmLoss(LmLossSpec(), LossContext(system))]
    sources, _ = sources_that_fit(spec, system, VISION, [_source(tmp_path, "x" * 500)])
    batch = StageBatches(spec, system, build_mixture(spec, sources, 0), VISION, losses)[0]
    assert batch["input_ids"].shape == (1, 300)
    assert int((batch["next_ids"] != -100).sum()) > 10


def test_a_picture_is_never_cut() -> None:
    row = Row([7, 7, 7, 1, 2], [-100, -100, 1, 2, 3], list(range(5)), [0] * 5)
    assert truncated(row, 5, frozenset({7})) is row
    assert truncated(row, 4, frozenset({7})) == Row([7, 7, 7, 1], [-100, -100, 1, 2], [0, 1, 2, 3], [0] * 4)
    assert truncated(row, 2, frozenset({7})) is None, "would cut the picture"
    assert truncated(row, 2, frozenset()) is None, "nothing would be learnt"


def test_the_text_that_an_encoder_reads_is_never_cut() -> None:
    row = Row([1, 2, 3], [4, 5, 6, 7], [], [0] * 3, decoder_ids=[0, 4, 5, 6])
    kept = truncated(row, 3, frozenset())
    assert kept is not None
    assert (kept.input_ids, kept.next_ids, kept.decoder_ids) == ([1, 2, 3], [4, 5, 6], [0, 4, 5])
    assert truncated(row, 2, frozenset()) is None


def test_most_samples_are_not_tokenised(system: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = RowEncoder(system, VISION, RowOptions())
    asked = []
    texts = encoder.texts
    monkeypatch.setattr(encoder, "texts", lambda unit: asked.append(unit.samples[0].id) or texts(unit))
    fit_sources(_stage(too_long="skip"), encoder, [_source(tmp_path, "yes", "x" * 500)], Feed.texts)
    assert asked == ["1"]
