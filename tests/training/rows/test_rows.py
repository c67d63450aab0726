"""Units to rows, for every kind of language model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from PIL import Image

from geoprose.core.errors import ConfigError, DataError
from geoprose.core.types import Message, Sample
from geoprose.data.mixture import Unit
from geoprose.systems.build import build_system
from geoprose.training.pictures.images import ImageScan
from geoprose.training.pictures.vision import Vision
from geoprose.training.rows.packing import RowOptions
from geoprose.training.rows.rows import RowEncoder
from tests.fixtures.systems_data import write_system_data

if TYPE_CHECKING:
    from pathlib import Path


def _encoder(name: str, share_prefix: bool = False) -> RowEncoder:
    system: Any = build_system(name, scale="tiny")
    return RowEncoder(system, Vision(ImageScan({}, {}), None), RowOptions(share_prefix))


def _unit(folder: Path, *turns: str, **meta: Any) -> Unit:
    Image.new("RGB", (40, 40)).save(folder / "a.png")
    roles = ("user", "assistant") * len(turns)
    messages = tuple(Message(role, text) for role, text in zip(roles, turns, strict=False))  # type: ignore[arg-type]
    return Unit(("a.png",), (Sample("s", ("a.png",), messages, meta=meta),), str(folder))


def test_an_encoder_decoder_has_a_row_for_each_answer(tmp_path: Path) -> None:
    encoder = _encoder("blip2-t5")
    rows = encoder.rows(_unit(tmp_path, "<image>\nIce?", "no", "Sure?", "yes"))
    decode = encoder.processor.tokenizer.decode
    assert [decode(row.next_ids) for row in rows] == ["no</s>", "yes</s>"]
    read = decode(rows[1].input_ids)
    assert read.endswith("Ice? Answer:</s>no</s>Sure? Answer:</s>"), "earlier turns are read, not learnt"
    for row in rows:
        assert row.decoder_ids[1:] == row.next_ids[:-1], "the decoder reads what it wrote before"
        assert row.input_ids.count(encoder.processor.image_token_id) == encoder.processor.num_visual_tokens
        assert row.visual["pixel_values"].shape[0] == 1
    with pytest.raises(DataError, match="no answer"):
        encoder.rows(_unit(tmp_path, "<image>\nIce?"))


def test_a_connector_that_reads_the_question_gets_it(tmp_path: Path) -> None:
    encoder = _encoder("instructblip-vicuna")
    (row,) = encoder.rows(_unit(tmp_path, "<image>\nIce?", "no", "Where?", "north"))
    asked = encoder.processor.encode_conditions(["Where?"], [1])
    assert torch.equal(row.visual["condition_ids"], asked["condition_ids"])
    encoder = _encoder("instructblip-t5")
    rows = encoder.rows(_unit(tmp_path, "<image>\nIce?", "no", "Where?", "north"))
    lengths = [int(row.visual["condition_mask"].sum()) for row in rows]
    assert lengths[0] < lengths[1], "each answer's row has its own question"


def test_what_stands_behind_a_picture_is_what_the_prompt_format_says(tmp_path: Path) -> None:
    """Training and asking must agree: BLIP-2 writes ``Question:`` behind its picture, LLaVA a line break."""
    encoder = _encoder("blip2-opt")
    (row,) = encoder.texts(_unit(tmp_path, "<image>\nIce?", "no"))
    assert encoder.processor.tokenizer.decode(row.input_ids).endswith("</s>Question: Ice? Answer: no")
    encoder = _encoder("llava-1.5")
    (row,) = encoder.texts(_unit(tmp_path, "<image>\nIce?", "no"))
    assert "<image>\nIce?" in encoder.processor.tokenizer.decode(row.input_ids)


def test_image_tokens_follow_the_size_of_the_picture(tmp_path: Path) -> None:
    encoder = _encoder("internvl-2.5")
    unit = _unit(tmp_path, "<image>\nIce?", "no")
    side = encoder.processor.image_processor.resolution["image_size"]
    counts = []
    for width in (side, 3 * side):
        Image.new("RGB", (width, side)).save(tmp_path / "a.png")
        (row,) = encoder.rows(unit)
        counts.append(row.input_ids.count(encoder.processor.image_token_id))
        assert counts[-1] == row.visual["pixel_values"].shape[0] * encoder.processor.num_visual_tokens
    assert counts[1] == 4 * counts[0], "three tiles and a thumbnail"


def test_further_modalities_come_with_their_marks(tmp_path: Path) -> None:
    system: Any = build_system("multi-branch", scale="tiny")
    write_system_data(tmp_path, system, num_samples=1)
    from geoprose.data.neutral import read_samples

    (sample,) = read_samples(tmp_path / "train.jsonl")
    encoder = RowEncoder(system, Vision(ImageScan({}, {}), None), RowOptions())
    (row,) = encoder.rows(Unit(sample.images, (sample,), str(tmp_path)))
    assert {"audio_values", "depth_values", "thermal_values"} < set(row.visual)
    for mark, count in system.processor.tokens_per_mark().items():
        assert row.input_ids.count(mark) == count


@pytest.mark.parametrize(("name", "why"), [("instructblip-vicuna", "reads the question"), ("blip2-t5", "a decoder")])
def test_questions_that_cannot_share_their_pictures(name: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        _encoder(name, share_prefix=True)
