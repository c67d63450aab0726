"""Position ids of packed rows are those of the system's own scheme."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from PIL import Image

from geoprose.core.types import Message, Sample
from geoprose.data.mixture import Unit
from geoprose.models.inputs import TextInputs, VisualInputs
from geoprose.systems.build import build_system
from geoprose.training.pictures.images import ImageScan
from geoprose.training.pictures.vision import Vision, in_model_dtypes
from geoprose.training.rows.packing import RowOptions
from geoprose.training.rows.rows import RowEncoder

if TYPE_CHECKING:
    from pathlib import Path


def _unit(folder: Path, questions: int) -> Unit:
    Image.new("RGB", (120, 60)).save(folder / "a.png")
    samples = [
        Sample(str(number), ("a.png",), (Message("user", "<image>\n" + "Q" * (number + 1)), Message("assistant", "A")))
        for number in range(questions)
    ]
    return Unit(("a.png",), tuple(samples), str(folder))


@pytest.mark.parametrize("name", ["qwen2-vl", "cogvlm2"])
def test_a_plain_row_has_the_ids_that_the_model_builds(name: str, tmp_path: Path) -> None:
    system: Any = build_system(name, scale="tiny")
    (row,) = RowEncoder(system, Vision(ImageScan({}, {}), None), RowOptions()).rows(_unit(tmp_path, 1))
    half = system.model.model
    ids = torch.tensor([row.input_ids])
    visuals = half.visuals(VisualInputs(**in_model_dtypes(dict(row.visual), system.model)))
    is_visual = ids == system.processor.image_token_id
    built = half.positions.build(TextInputs(half.get_input_embeddings()(ids), is_visual, None, 0), visuals)
    assert torch.equal(torch.tensor(row.placed).T.reshape(built.shape), built)


def test_branches_go_on_behind_the_largest_id_of_the_prefix(tmp_path: Path) -> None:
    system: Any = build_system("qwen2-vl", scale="tiny")
    (row,) = RowEncoder(system, Vision(ImageScan({}, {}), None), RowOptions(share_prefix=True)).rows(_unit(tmp_path, 3))
    size = row.segments.count(0)
    highest = max(max(ids) for ids in row.placed[:size])
    for number in (1, 2, 3):
        branch = [ids for ids, segment in zip(row.placed, row.segments, strict=True) if segment == number]
        assert branch == [(highest + 1 + step,) * 3 for step in range(len(branch))]


def test_other_systems_count_one_by_one(tmp_path: Path) -> None:
    for name in ("llava-1.5", "internvl-3-v2pe"):
        system: Any = build_system(name, scale="tiny")
        (row,) = RowEncoder(system, Vision(ImageScan({}, {}), None), RowOptions()).rows(_unit(tmp_path, 1))
        assert row.placed == []
