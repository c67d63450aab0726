"""Plans of dense systems beside measured steps of small ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
import yaml

from geoprose.systems.build import build_system
from geoprose.systems.dual_encoder import tiny_text_tokenizer
from geoprose.training.forward import Forward
from geoprose.training.losses.base import LossContext
from geoprose.training.losses.segmentation import SegmentationLoss
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

ROWS, PROMPT_TOKENS = 2, 12
TOWER = {"hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 256}
PARTS: dict[str, Any] = {
    "resolution": {"image_size": 64},
    "vision_encoder": {"config": {**TOWER, "patch_size": 8}},
    "text_encoder": {"config": {"vocab_size": len(tiny_text_tokenizer())}},
    "layers": [1, 2, 3, 4],
    "head": {"channels": 48},
}
STAGES = {
    "head": {"trainable": ["head.*"]},
    "everything": {"trainable": ["*"]},
    "layers computed again": {"trainable": ["*"], "gradient_checkpointing": True},
}
# torch stops computing a layer again where nothing is needed any more; the estimate computes all of it.
FLOP_TOLERANCE = {"layers computed again": 0.05}
MEMORY_TOLERANCE = 0.15


def _recipe(folder: Path, system: str, name: str) -> Any:
    preset = folder / "middle.yaml"
    preset.write_text(yaml.safe_dump({"name": "middle", "extends": system, "tiny": PARTS}))
    own = stage(batch_size=ROWS, losses=[{"type": "segmentation"}], **STAGES[name])
    return load_recipe(write_recipe(folder, [own], system=str(preset)))


CASES = [(system, name) for system in ("segclip", "changeclip") for name in STAGES]
QUICK = ("segclip", "head")
MARKED = [pytest.param(*case, marks=() if case == QUICK else pytest.mark.slow) for case in CASES]


@pytest.mark.parametrize(("system", "name"), MARKED)
def test_estimates_meet_a_measured_step(tmp_path: Path, system: str, name: str) -> None:
    recipe = _recipe(tmp_path, system, name)
    facts = stage_facts(recipe, 0, Workload(text_tokens=PROMPT_TOKENS))
    layout = Arrangement(rows=ROWS, checkpointing=recipe.stages[0].gradient_checkpointing)
    flops = ROWS * sum(row_operations(facts, layout).values())
    held = stage_memory(facts, layout, with_runtime=False).total

    built = build_system(recipe.system, scale="tiny")
    enter_stage(built.model, recipe.stages[0], 0)
    model, loss = built.model.train(), SegmentationLoss(recipe.stages[0].losses[0], LossContext(built))
    batch = _batch(built)
    counted, peak = measure_step(model, lambda: loss.loss_sum(Forward(model, batch)))
    assert flops == pytest.approx(counted, rel=FLOP_TOLERANCE.get(name, 1e-3)), flops / counted
    assert held == pytest.approx(peak, rel=MEMORY_TOLERANCE), held / peak


def _batch(built: Any) -> dict[str, torch.Tensor]:
    side, dates = built.spec.resolution.image_size, built.model.head.num_dates
    shape = (ROWS, dates, 3, side, side) if dates > 1 else (ROWS, 3, side, side)
    ids = torch.full((len(built.spec.prompts), PROMPT_TOKENS), built.processor.tokenizer.eos_token_id)
    return {"pixel_values": torch.zeros(shape), "mask": torch.zeros(ROWS, side, side).long(), "input_ids": ids}


def test_prompts_are_read_once_for_all_places_of_a_micro_batch(tmp_path: Path) -> None:
    facts = stage_facts(_recipe(tmp_path, "changeclip", "everything"), 0, Workload(text_tokens=PROMPT_TOKENS))
    assert facts.row.pictures == 2
    assert [facts.runs(part, 5) for part in ("vision", "text", "decoder", "head")] == [10, 1, 5, 5]
    one, five = (sum(row_operations(facts, Arrangement(rows=rows)).values()) for rows in (1, 5))
    text = facts.pieces["text"]
    assert one - five == pytest.approx(0.8 * (text.forward + text.backward))
