"""From records to micro-batches."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from pydantic import ValidationError

from geoprose.core.errors import DataError
from geoprose.core.types import Message, Sample
from geoprose.data.mixture import units_of
from geoprose.data.neutral import write_samples
from geoprose.systems.build import build_system
from geoprose.training.losses.base import LossContext
from geoprose.training.losses.lm import LmLoss
from geoprose.training.pictures.features import BlankFeatures
from geoprose.training.pictures.images import ImageScan, scan_images
from geoprose.training.pictures.vision import Vision
from geoprose.training.rows.batches import LoadedSource, StageBatches, build_mixture, data_hashes, load_source
from geoprose.training.specs.data import SourceSpec
from geoprose.training.specs.loss_language import LmLossSpec
from geoprose.training.specs.stage import StageSpec
from tests.fixtures.training import stage, write_tiny_data

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_data(tmp_path_factory.mktemp("data"), 4)


def test_filters(data: Path, tmp_path: Path) -> None:
    everything = load_source(SourceSpec(path="train.jsonl"), data)
    assert len(everything.samples) == 18
    presence = load_source(SourceSpec(path="train.jsonl", tasks=("presence",), limit=5), data)
    assert [sample.task for sample in presence.samples] == ["presence"] * 5
    with pytest.raises(DataError, match="min_images"):
        load_source(SourceSpec(path="train.jsonl", min_images=2), data)
    with pytest.raises(DataError, match="--data"):
        load_source(SourceSpec(path="train.jsonl"), tmp_path)
    assert len(data_hashes([everything])["train.jsonl"]) == 64


def test_the_least_weight_keeps_whole_images(tmp_path: Path) -> None:
    turns = (Message("user", "<image>\nQ"), Message("assistant", "A"))
    weights = {"a0": 0.2, "a1": 0.9, "a2": None, "b0": 0.8, "b1": None, "c0": None}
    samples = [
        Sample(name, (f"{name[0]}.png",), turns, meta={} if weight is None else {"weight": weight})
        for name, weight in weights.items()
    ]
    write_samples(samples, tmp_path / "train.jsonl")
    kept = {
        least: [s.id for s in load_source(SourceSpec(path="train.jsonl", min_weight=least), tmp_path).samples]
        for least in (0.1, 0.8, 0.85)
    }
    assert kept == {0.1: ["a0", "a1", "a2", "b0", "b1"], 0.8: ["a1", "a2", "b0", "b1"], 0.85: ["a1", "a2"]}
    with pytest.raises(DataError, match="min_weight"):
        load_source(SourceSpec(path="train.jsonl", min_weight=1.5), tmp_path)


def test_unreadable_images_take_their_samples_along(data: Path) -> None:
    source = load_source(SourceSpec(path="train.jsonl"), data)
    left = source.without({data / "images" / "1.png": "broken"})
    assert {image for sample in left.samples for image in sample.images} == {f"images/{i}.png" for i in (0, 2, 3)}


def test_shares_of_an_epoch(data: Path, tmp_path: Path) -> None:
    pairs = [
        Sample(str(i), (f"{i}.png", "b.png"), (Message("user", "<image>\n<image>\nQ"), Message("assistant", "A")))
        for i in range(7)
    ]
    write_samples(pairs, tmp_path / "pairs.jsonl")
    spec = StageSpec.model_validate(
        stage(packing="shared_prefix", data=[{"path": "train.jsonl"}, {"path": "pairs.jsonl", "share": 0.6}])
    )
    loaded = [load_source(spec.data[0], data), load_source(spec.data[1], tmp_path)]
    mixture = build_mixture(spec, loaded, seed=0)
    assert [source.num_slots for source in mixture.sources] == [4, 6]


def test_lengths_are_known_without_decoding_images(data: Path, tmp_path: Path) -> None:
    system: Any = build_system("demo", scale="tiny")
    spec = StageSpec.model_validate(stage(packing="length_grouped"))
    source = load_source(spec.data[0], data)
    source = LoadedSource(
        source.spec, source.samples, tmp_path, source.records_path
    )  # there is no image below tmp_path
    mixture = build_mixture(spec, [source], seed=0)
    vision = Vision(ImageScan({}, {}), None)
    batches = StageBatches(spec, system, mixture, vision, [LmLoss(LmLossSpec(), LossContext(system))])
    assert len(batches.plan.micro_batch(0)) == 2
    with pytest.raises(DataError, match="does not exist"):
        batches[0]


def test_blank_features_are_zeros(data: Path) -> None:
    system: Any = build_system("demo", scale="tiny")
    spec = StageSpec.model_validate(stage(packing="shared_prefix"))
    source = load_source(spec.data[0], data)
    paths = dict.fromkeys(source.images(), "digest")
    vision = Vision(ImageScan(paths, {}), BlankFeatures(system))
    losses = [LmLoss(LmLossSpec(), LossContext(system))]
    batches = StageBatches(spec, system, build_mixture(spec, [source], seed=0), vision, losses)
    batch = batches[0]
    assert batch["vision_features"].shape[0] == 2
    assert float(batch["vision_features"].abs().max()) == 0.0
    num_placeholders = int((batch["input_ids"] == system.model.config.image_token_id).sum())
    assert num_placeholders == 2 * system.processor.num_visual_tokens
    assert torch.equal(batches[3]["input_ids"], batches[3]["input_ids"])
    with pytest.raises(IndexError):
        batches[len(batches)]
    assert len(units_of(source.samples, "r")) == 18


def _two_sources(folder: Path, **changes: Any) -> list[int]:
    """Return how many rows of an epoch come from sources of 40 and of 10 samples."""
    for name, count in (("large", 40), ("small", 10)):
        samples = [
            Sample(f"{name}{i}", (f"{name}{i}.png",), (Message("user", "<image>\nQ"), Message("assistant", "A")))
            for i in range(count)
        ]
        write_samples(samples, folder / f"{name}.jsonl")
    sources = [{"path": "large.jsonl", **changes.pop("large", {})}, {"path": "small.jsonl"}]
    spec = StageSpec.model_validate(stage(data=sources, **changes))
    mixture = build_mixture(spec, [load_source(source, folder) for source in spec.data], seed=0)
    return [source.num_slots for source in mixture.sources]


def test_mixing_temperature(tmp_path: Path) -> None:
    assert _two_sources(tmp_path, mixing_temperature=1.0) == [40, 10], "in proportion to size"
    # sqrt(40) : sqrt(10) is 2 : 1 of 50 rows.
    assert _two_sources(tmp_path, mixing_temperature=2.0) == [33, 17]
    assert _two_sources(tmp_path, mixing_temperature=1e6) == [25, 25]
    with pytest.raises(ValidationError, match="leave weight and share out"):
        _two_sources(tmp_path, mixing_temperature=2.0, large={"weight": 2.0})


def test_a_cap_limits_a_source(tmp_path: Path) -> None:
    assert _two_sources(tmp_path, large={"cap": 12}) == [12, 10]
    assert _two_sources(tmp_path, large={"cap": 100}) == [40, 10]
    # min(40, 10) : 10 is 1 : 1 of 20 rows.
    assert _two_sources(tmp_path, large={"cap": 10}, mixing_temperature=3.0) == [10, 10]


def test_a_source_without_samples_is_an_error(data: Path) -> None:
    spec = StageSpec.model_validate(stage())
    source = load_source(spec.data[0], data)
    everything = dict.fromkeys(source.images(), "broken")
    with pytest.raises(DataError, match="holds no sample"):
        build_mixture(spec, [source.without(everything)], seed=0)


def test_the_heaviest_of_samples_without_a_weight_is_an_error(tmp_path: Path) -> None:
    data = write_tiny_data(tmp_path, 2)
    source = load_source(SourceSpec(path="train.jsonl", draw="heaviest", answers_per_image=1), data)
    spec = StageSpec.model_validate(stage(packing="shared_prefix"))
    bare = replace(source, samples=tuple(replace(s, meta={"answer": "yes"}) for s in source.samples))
    with pytest.raises(DataError, match=r"train\.jsonl.*none has meta\['weight'\].*Build the data again"):
        build_mixture(spec, [bare], seed=0)
    weights = [float(number % 3 + 1) for number in range(len(source.samples))]
    weighed = tuple(replace(s, meta={"weight": w}) for s, w in zip(source.samples, weights, strict=True))
    mixture = build_mixture(spec, [replace(source, samples=weighed)], seed=0)
    for slot in range(len(mixture)):
        taken = mixture.unit(0, slot).samples[0]
        others = [s for s in weighed if s.images == taken.images]
        assert taken.meta["weight"] == max(s.meta["weight"] for s in others)


def test_a_packed_batch_holds_isolated_conversations(data: Path) -> None:
    system: Any = build_system("demo", scale="tiny")
    spec = StageSpec.model_validate(stage(packing="packed", max_row_tokens=700, batch_size=2))
    source = load_source(spec.data[0], data)
    vision = Vision(scan_images(source.images(), 0.0), None)
    losses = [LmLoss(LmLossSpec(), LossContext(system))]
    batches = StageBatches(spec, system, build_mixture(spec, [source], seed=0), vision, losses)
    batch = batches[0]
    assert "attention_mask" not in batch, "positions that start anew tell the conversations apart"
    assert batch["input_ids"].shape[0] == 2
    assert 600 < batch["input_ids"].shape[1] <= 700
    starts = int((batch["position_ids"] == 0).sum()) - int(batch["input_ids"].numel() - batch["num_tokens"])
    assert starts == len(batches.plan.micro_batch(0)) == batch["pixel_values"].shape[0]
