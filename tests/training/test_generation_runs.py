"""Recipes whose losses look at experts, codes, signals, further modalities or hidden patches."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from geoprose.core.types import Message
from geoprose.data.neutral import read_samples, write_samples
from geoprose.training.run import run_recipe
from tests.fixtures.pairs import pair_stage, write_pairs
from tests.fixtures.training import write_recipe

if TYPE_CHECKING:
    from pathlib import Path

MOE = (
    "extends: llava-1.5\nsummary: tiny experts\nfusion: {type: modality_moe, routing: soft, num_experts: 2, top_k: 1}\n"
)


def losses_in(folder: Path, system: str, **changes: Any) -> dict[str, list[float]]:
    recipe = write_recipe(folder, [pair_stage(**changes)], system=system)
    result = run_recipe(recipe, out_dir=folder / "run", data_dir=folder)
    (log,) = result.out_dir.rglob("log.jsonl")
    reports = [json.loads(line)["parts"] for line in log.read_text().splitlines()]
    return {name: [report[name] for report in reports] for name in reports[0]}


def test_experts_are_balanced_beside_the_language_model(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    (tmp_path / "experts.yaml").write_text(MOE)
    losses = [{"type": "lm"}, {"type": "moe_balance", "weight": 0.01}]
    found = losses_in(tmp_path, str(tmp_path / "experts.yaml"), losses=losses, trainable=["fusion.*", "connector.*"])
    assert all(0.9 < value < 3.0 for value in found["moe_balance"])
    assert found["lm"][-1] < found["lm"][0]


def test_signals_learn_their_targets(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    random = np.random.default_rng(0)
    samples = []
    for sample in read_samples(tmp_path / "train.jsonl"):
        np.save(tmp_path / f"signal-{sample.id}.npy", random.normal(size=(3, 8)))
        marks = "".join(f"[IMG{number}]" for number in range(4))
        answer = Message("assistant", f"{sample.messages[1].text} {marks}")
        meta = {"signals": {"image": [f"signal-{sample.id}.npy"]}}
        samples.append(replace(sample, messages=(sample.messages[0], answer), meta=meta))
    write_samples(samples, tmp_path / "train.jsonl")
    losses = [{"type": "lm"}, {"type": "signal_mse"}]
    found = losses_in(tmp_path, "next-gpt", losses=losses, trainable=["signal_heads.image.*", "connector.*"], steps=6)
    assert found["signal_mse_image"][-1] < found["signal_mse_image"][0]


def test_a_modality_joins_the_pictures(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    random = np.random.default_rng(0)
    samples = []
    for sample in read_samples(tmp_path / "train.jsonl"):
        np.save(tmp_path / f"heat-{sample.id}.npy", random.normal(size=(1, 32, 32)))
        samples.append(replace(sample, meta={"media": {"thermal": [f"heat-{sample.id}.npy"]}}))
    write_samples(samples, tmp_path / "train.jsonl")
    loss = {"type": "imagebind_infonce", "modality": "thermal"}
    stage = {"losses": [loss], "trainable": ["branches.thermal.encoder.*"], "learning_rate": 1e-3, "steps": 6}
    found = losses_in(tmp_path, "imagebind-llm", **stage)
    assert found["imagebind_infonce_thermal"][-1] < found["imagebind_infonce_thermal"][0]
    assert list((tmp_path / "run" / "features").rglob("*.safetensors"))


def test_an_image_tokenizer_learns_to_paint(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    found = losses_in(tmp_path, "janus", losses=[{"type": "vq_commitment"}], trainable=["image_head.tower.*"], steps=8)
    assert found["vq_commitment"][-1] < 0.9 * found["vq_commitment"][0]


@pytest.mark.parametrize(("system", "trains"), [("vit-bert", "vision.*"), ("demo", "vision_encoder.*")])
def test_an_encoder_learns_from_hidden_patches(tmp_path: Path, system: str, trains: str) -> None:
    write_pairs(tmp_path)
    stage = {"losses": [{"type": "masked_patches"}], "trainable": [trains], "steps": 8}
    found = losses_in(tmp_path, system, **stage)
    assert found["masked_patches"][-1] < found["masked_patches"][0]
