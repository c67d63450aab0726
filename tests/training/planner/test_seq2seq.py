"""Plans of encoder-decoders beside measured steps of small ones."""

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

ROWS, TEXT, ANSWERS = 2, 120, 48
LANGUAGE = {"d_model": 128, "d_kv": 32, "d_ff": 256, "num_layers": 3, "num_decoder_layers": 3, "vocab_size": 300}
# Why without dropout: processors have no fused attention with it, so they keep every matrix of weights.
LANGUAGE["dropout_rate"] = 0
PARTS = {"language_model": {"config": LANGUAGE}}
STAGES: dict[str, dict[str, Any]] = {
    "connector": {"trainable": ["connector.*"]},
    "language model": {"trainable": ["connector.*", "language_model.*", "lm_head.*"]},
    "layers computed again": {"trainable": ["language_model.*"], "gradient_checkpointing": True},
}
# torch stops computing a layer again where nothing is needed any more; the estimate computes all of it.
FLOP_TOLERANCE = {"layers computed again": 0.05}
MEMORY_TOLERANCE = 0.15
MARKED = [pytest.param(name, marks=() if name == "connector" else pytest.mark.slow) for name in STAGES]


def _recipe(folder: Path, name: str) -> Any:
    preset = folder / "middle.yaml"
    preset.write_text(yaml.safe_dump({"name": "middle", "extends": "blip2-t5", "tiny": PARTS}))
    return load_recipe(write_recipe(folder, [stage(batch_size=ROWS, **STAGES[name])], system=str(preset)))


@pytest.mark.parametrize("name", MARKED)
def test_estimates_meet_a_measured_step(tmp_path: Path, name: str) -> None:
    recipe = _recipe(tmp_path, name)
    facts = stage_facts(recipe, 0, Workload(text_tokens=TEXT, answer_tokens=ANSWERS))
    layout = Arrangement(rows=ROWS, checkpointing=recipe.stages[0].gradient_checkpointing)
    flops = ROWS * sum(row_operations(facts, layout).values())
    held = stage_memory(facts, layout, with_runtime=False).total

    system = build_system(recipe.system, scale="tiny")
    enter_stage(system.model, recipe.stages[0], 0)
    model, batch = system.model.train(), _batch(system, facts)
    counted, peak = measure_step(
        model, lambda: causal_lm_loss_sum(Forward(model, batch).hidden, batch["next_ids"], model.lm_head)
    )
    assert flops == pytest.approx(counted, rel=FLOP_TOLERANCE.get(name, 1e-3)), flops / counted
    assert held == pytest.approx(peak, rel=MEMORY_TOLERANCE), held / peak


def _batch(system: Any, facts: Any) -> dict[str, torch.Tensor]:
    from geoprose.models.inputs import VisualInputs

    visual = system.processor.num_visual_tokens
    assert facts.row.tokens == visual + TEXT
    ids = torch.full((ROWS, facts.row.tokens - ANSWERS), system.model.config.image_token_id + 1)
    ids[:, :visual] = system.model.config.image_token_id
    answers = torch.full((ROWS, ANSWERS), 7)
    side = system.spec.resolution.image_size
    with torch.no_grad():
        pixels = VisualInputs(pixel_values=torch.zeros(ROWS, 3, side, side))
        features = system.model.model.vision_encoder.encode(pixels)
    assert facts.cached
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "decoder_input_ids": answers,
        "decoder_attention_mask": torch.ones_like(answers),
        "next_ids": answers,
        "vision_features": features,
    }


def test_a_longer_answer_moves_tokens_from_the_encoder_to_the_decoder(tmp_path: Path) -> None:
    short, long = (
        stage_facts(_recipe(tmp_path, "connector"), 0, Workload(text_tokens=TEXT, answer_tokens=number)).pieces
        for number in (10, 60)
    )
    assert short["language_encoder"].forward > long["language_encoder"].forward
    assert short["language_decoder"].forward < long["language_decoder"].forward
