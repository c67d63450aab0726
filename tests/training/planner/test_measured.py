"""Estimates beside measured steps of small systems: operations, and the peak of live tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
import yaml

from geoprose.systems.build import build_system
from geoprose.training.forward import Forward
from geoprose.training.losses.lm import causal_lm_loss_sum
from geoprose.training.planner.duration import row_operations
from geoprose.training.planner.facts import stage_facts
from geoprose.training.planner.memory import Arrangement, stage_memory
from geoprose.training.planner.workload import Workload
from geoprose.training.recipes import load_recipe
from geoprose.training.session import enter_stage
from tests.fixtures.measured_step import measure_step
from tests.fixtures.training import stage, write_recipe

if TYPE_CHECKING:
    from pathlib import Path

ROWS, TEXT, ANSWERS = 4, 240, 100
PARTS = {
    "vision_encoder": {"config": {"hidden_size": 128, "num_hidden_layers": 4, "intermediate_size": 256}},
    "language_model": {
        "config": {"hidden_size": 128, "num_hidden_layers": 6, "intermediate_size": 344, "vocab_size": 300}
    },
}
LORA = {"rank": 4, "alpha": 8, "targets": ["q_proj", "v_proj"]}
STAGES = {
    "connector": {"trainable": ["connector.*"]},
    "adapters": {"trainable": ["connector.*"], "lora": LORA},
    "language model": {"trainable": ["connector.*", "language_model.*", "lm_head.*"]},
    "everything": {"trainable": ["*"]},
    "layers computed again": {"trainable": ["language_model.*"], "gradient_checkpointing": True},
}
# torch stops computing a layer again where nothing is needed any more; the estimate computes all of it.
FLOP_TOLERANCE = {"layers computed again": 0.05}
MEMORY_TOLERANCE = 0.15
SLOW = ("adapters", "language model", "everything")
CASES = [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in STAGES]


@pytest.fixture
def case(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[str, Path]:
    preset = tmp_path / "middle.yaml"
    preset.write_text(yaml.safe_dump({"name": "middle", "extends": "llava-1.5", "tiny": PARTS}))
    path = write_recipe(tmp_path, [stage(batch_size=ROWS, **STAGES[request.param])], system=str(preset))
    return request.param, path


@pytest.mark.parametrize("case", CASES, indirect=True)
def test_estimates_meet_a_measured_step(case: tuple[str, Path]) -> None:
    recipe = load_recipe(case[1])
    workload = Workload(text_tokens=TEXT, answer_tokens=ANSWERS)
    facts = stage_facts(recipe, 0, workload)
    layout = Arrangement(rows=ROWS, checkpointing=recipe.stages[0].gradient_checkpointing)
    flops = ROWS * sum(row_operations(facts, layout).values())
    held = stage_memory(facts, layout, with_runtime=False).total

    system = build_system(recipe.system, scale="tiny")
    enter_stage(system.model, recipe.stages[0], 0)
    model, batch = system.model.train(), _batch(system, facts.row.tokens, facts.cached)
    counted, peak = measure_step(
        model, lambda: causal_lm_loss_sum(Forward(model, batch).hidden, batch["next_ids"], model.lm_head)
    )
    assert flops == pytest.approx(counted, rel=FLOP_TOLERANCE.get(case[0], 1e-3)), flops / counted
    assert held == pytest.approx(peak, rel=MEMORY_TOLERANCE), held / peak


def _batch(system: Any, tokens: int, is_cached: bool) -> dict[str, torch.Tensor]:
    visual = system.processor.num_visual_tokens
    ids = torch.full((ROWS, tokens), system.model.config.image_token_id + 1)
    ids[:, :visual] = system.model.config.image_token_id
    next_ids = torch.full((ROWS, tokens), -100)
    next_ids[:, -ANSWERS:] = 7
    side = system.spec.resolution.image_size
    pixels = torch.zeros(ROWS, 3, side, side)
    batch = {"input_ids": ids, "next_ids": next_ids, "attention_mask": torch.ones_like(ids)}
    if not is_cached:
        return {**batch, "pixel_values": pixels}
    from geoprose.models.inputs import VisualInputs

    with torch.no_grad():
        features = system.model.model.vision_encoder.encode(VisualInputs(pixel_values=pixels))
    return {**batch, "vision_features": features}
