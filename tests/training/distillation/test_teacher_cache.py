"""The teacher's word kept on the disk: equal to the live one, found again, and whole or absent."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from geoprose.core.errors import ConfigError, TrainingError
from geoprose.training.distillation.answer_runs import name_answers
from geoprose.training.distillation.divergences import log_probabilities
from geoprose.training.distillation.teacher_cache import TeacherCache, TopTokens
from geoprose.training.forward import Forward
from geoprose.training.losses.base import LossContext
from geoprose.training.losses.kd_offline import PICTURES, KdOfflineLoss
from geoprose.training.run import run_recipe
from geoprose.training.specs.loss_distillation import KdOfflineLossSpec
from tests.fixtures.distillation import batch_of, rows_about_pictures, tiny_teacher
from tests.fixtures.training import stage, write_recipe, write_tiny_data

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.training.teacher import Teacher


def _rows(system: Any, packed: bool = True) -> list[Any]:
    rows = rows_about_pictures(system, packed=packed)
    for number, row in enumerate(rows):
        count = len(row.visual["vision_features"]) if row.visual else 0
        number = number if packed else number // 2
        row.targets[PICTURES] = np.arange(2 * count, dtype=np.int64).reshape(count, 2) + 100 * number
    return rows


class _Batches(list):  # type: ignore[type-arg]
    """Batches with what a cache asks of their feed."""

    feed = SimpleNamespace(vision=SimpleNamespace(store=None, scan=SimpleNamespace(digests={})))


def _loss(student: Any, teacher: Teacher, folder: Path, batches: list[dict[str, Any]], **changes: Any) -> KdOfflineLoss:
    spec = KdOfflineLossSpec(source="cache", **changes)
    loss = KdOfflineLoss(spec, LossContext(student, teacher=teacher, folder=folder))
    loss.begin(student.model, _Batches(batches))
    return loss


def _sum(loss: KdOfflineLoss, student: Any, batch: dict[str, Any]) -> tuple[float, torch.Tensor]:
    student.model.zero_grad()
    value = loss.loss_sum(Forward(student.model, batch))
    value.backward()
    return float(value.detach()), student.model.lm_head.weight.grad.clone()


def test_with_the_whole_vocabulary_the_cache_is_the_live_teacher(
    student: Any, teacher: Teacher, tmp_path: Path
) -> None:
    batch = batch_of(_rows(student))
    live = KdOfflineLoss(KdOfflineLossSpec(lm_weight=0.5), LossContext(student, teacher=teacher))
    value, gradient = _sum(live, student, batch)
    cached = _loss(student, teacher, tmp_path, [batch], top_k=262, lm_weight=0.5)
    found, other = _sum(cached, student, batch)
    assert found == pytest.approx(value, rel=1e-6)  # log-probabilities are kept in float32
    torch.testing.assert_close(other, gradient, atol=1e-5, rtol=1e-5)


def test_fewer_tokens_lose_distance_and_say_how_much(
    student: Any, teacher: Teacher, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    batch = batch_of(_rows(student))
    values = {}
    for k in (1, 8, 64, 262):
        with caplog.at_level(logging.INFO, logger="geoprose"):
            values[k] = _sum(_loss(student, teacher, tmp_path, [batch], top_k=k), student, batch)[0]
    assert 0 < values[1] < values[8] < values[64] < values[262]
    assert "the teacher's 64 likeliest tokens cover 0." in caplog.text


def test_answers_are_found_in_any_packing(student: Any, teacher: Teacher, tmp_path: Path) -> None:
    packed, plain = batch_of(_rows(student)), batch_of(_rows(student, packed=False))
    joined = batch_of(_rows(student), join_rows=True)
    names = [
        sorted(name_answers(b, int(student.model.config.image_token_id), 16, [str(d) for d in b[PICTURES].tolist()]))
        for b in (packed, plain, joined)
    ]
    assert names[0] == names[1] == names[2]
    assert len({name for name, _ in names[0]}) == 6
    loss = _loss(student, teacher, tmp_path, [packed])
    value = _sum(loss, student, packed)[0]
    assert _sum(loss, student, plain)[0] == pytest.approx(value, rel=1e-5)
    assert _sum(loss, student, joined)[0] == pytest.approx(value, rel=1e-5)


def test_other_pictures_are_other_answers(student: Any, teacher: Teacher, tmp_path: Path) -> None:
    batch = batch_of(_rows(student))
    loss = _loss(student, teacher, tmp_path, [batch])
    other = {**batch, PICTURES: batch[PICTURES] + 1}
    with pytest.raises(TrainingError, match="lacks an answer"):
        loss.loss_sum(Forward(student.model, other))


def test_the_teacher_is_asked_once(
    student: Any, teacher: Teacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = batch_of(_rows(student))
    _loss(student, teacher, tmp_path, [batch, batch])
    run = teacher.model.model.forward
    calls: list[int] = []
    monkeypatch.setattr(teacher.model.model, "forward", lambda **inputs: calls.append(1) or run(**inputs))
    _loss(student, teacher, tmp_path, [batch, batch])
    assert calls == []
    _loss(student, tiny_teacher(9), tmp_path, [batch])
    assert len(list((tmp_path / "teacher").iterdir())) == 2


def _top(seed: int, positions: int) -> TopTokens:
    generator = torch.Generator().manual_seed(seed)
    return TopTokens.of(log_probabilities(torch.randn(positions, 9, generator=generator)), 3)


def test_shards_are_whole_or_absent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = TeacherCache(tmp_path, {"teacher": "a"})
    first, second = _top(0, 2), _top(1, 3)
    cache.add({"one": first})
    cache.flush()
    cache.add({"two": second})
    cache.flush()
    again = TeacherCache(tmp_path, {"teacher": "a"})
    assert len(again) == 2
    assert torch.equal(again.get("two").log_probs, second.log_probs)
    shards = sorted(again.folder.glob("shard-*"))
    lost = next(s for s in shards if json.loads((s / "answers.json").read_text())["names"] == ["one"])
    content = (lost / "top.safetensors").read_bytes()
    (lost / "top.safetensors").write_bytes(content[:-1])
    damaged = TeacherCache(tmp_path, {"teacher": "a"})
    assert "one" not in damaged
    assert "two" in damaged
    assert "is made again" in caplog.text
    damaged.add({"one": first})
    damaged.flush()
    assert torch.equal(TeacherCache(tmp_path, {"teacher": "a"}).get("one").tokens, first.tokens)
    assert len(TeacherCache(tmp_path, {"teacher": "b"})) == 0


def test_mass_by_hand() -> None:
    top = TopTokens.of(torch.tensor([[0.5, 0.2, 0.3], [0.1, 0.1, 0.8]]).log(), 2)
    assert top.tokens.tolist()[0] == [0, 2]
    assert top.covered.tolist() == pytest.approx([0.8, 0.9])
    assert top.log_tail.exp().tolist() == pytest.approx([0.2, 0.1])


def test_a_cache_needs_a_folder_and_plain_forward_kl(student: Any, teacher: Teacher) -> None:
    loss = KdOfflineLoss(KdOfflineLossSpec(source="cache"), LossContext(student, teacher=teacher))
    with pytest.raises(ConfigError, match="needs the folder"):
        loss.begin(student.model, _Batches())
    with pytest.raises(ValueError, match="use source: live"):
        KdOfflineLossSpec(source="cache", temperature=2.0)


def test_a_run_from_the_cache_learns_what_a_live_one_learns(tmp_path: Path) -> None:
    def parts(name: str, **changes: Any) -> list[float]:
        folder = tmp_path / name
        write_tiny_data(folder, 3)
        values = stage(packing="shared_prefix", steps=2, losses=[{"type": "kd_offline", **changes}])
        recipe = write_recipe(folder, [values], teacher={"system": "demo", "scale": "tiny", "seed": 1})
        run_recipe(recipe, out_dir=folder / "run", data_dir=folder)
        lines = (folder / "run/stages/01-align/log.jsonl").read_text().splitlines()
        return [json.loads(line)["parts"]["kd_offline"] for line in lines]

    live = parts("live")
    assert parts("cached", source="cache", top_k=262) == pytest.approx(live, rel=1e-4)
