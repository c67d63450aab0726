"""Every preset with a language model trains through the recipe engine, at tiny scale and on what it reads."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from geoprose.models.parts.contracts import VisionEncoder
from geoprose.systems.build import build_system
from geoprose.systems.presets import list_presets, load_preset
from geoprose.training.run import run_recipe
from geoprose.training.trainer import StageTrainer
from tests.fixtures.systems_data import write_system_data
from tests.fixtures.training import stage

if TYPE_CHECKING:
    from pathlib import Path

STEPS = 3
"""A gate at zero behind another one (Llama 3.2 Vision) lets a gradient through from the third step on."""
ANSWERING = [name for name in list_presets() if hasattr(load_preset(name), "language_model")]
WITHOUT_GRADIENT = {
    r"^model\.(image_head|signal_heads)\.": "trained by losses on pictures and signals, not by answers",
    r"fusion\.layers\.1\.(attention\.[qo]_proj|feed_forward)\.": "no answer reads a patch behind the last layer",
    r"connector\.body\.encoder\.layer\.\d+\.(intermediate|output)\.": "no answer reads the words behind the Q-Former",
}
"""Parameters (patterns) that no answer can teach, and why; an encoder names its own (``unused_parameter_names``)."""


class _Gradients:
    """Which parameters got a gradient in any step."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.named: dict[str, bool] = {}
        guard = StageTrainer._get_grad_norm

        def watched(trainer: Any, *arguments: Any, **keywords: Any) -> Any:
            for name, parameter in trainer.model.named_parameters():
                if not parameter.requires_grad:
                    continue
                has_one = parameter.grad is not None and bool(parameter.grad.abs().max() > 0)
                self.named[name] = self.named.get(name, False) or has_one
            return guard(trainer, *arguments, **keywords)

        patch.setattr(StageTrainer, "_get_grad_norm", watched)

    def missing(self, model: Any) -> list[str]:
        """Return the parameters without any that have no reason."""
        encoders = {name: part for name, part in model.named_modules() if isinstance(part, VisionEncoder)}
        unused = {f"model.{name}.{own}" for name, part in encoders.items() for own in part.unused_parameter_names()}
        named = [name for name, has in self.named.items() if not has and name not in unused]
        return [name for name in named if not any(re.search(pattern, name) for pattern in WITHOUT_GRADIENT)]


def _train(system: Any, folder: Path, seed: int, **changes: Any) -> float:
    write_system_data(folder, system, seed)
    values = {
        "name": "tiny",
        "system": system.spec.name,
        "scale": "tiny",
        "num_threads": 1,
        "features": {"cache": "run"},
        "stages": [stage(trainable=["*"], steps=STEPS, learning_rate=0.01, **changes)],
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(values))
    result = run_recipe(folder / "recipe.yaml", out_dir=folder / "run", data_dir=folder)
    return float(result.record["stages"]["align"]["last_loss"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ANSWERING)
def test_it_trains(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system: Any = build_system(name, scale="tiny")
    gradients = _Gradients(monkeypatch)
    loss = _train(system, tmp_path / "one", 0)
    assert 0.0 < loss < 20.0
    assert gradients.named
    assert gradients.missing(system.model) == []
    # The words are the same, the pictures are not.
    assert abs(loss - _train(system, tmp_path / "other", 1)) > 1e-6, "the picture does not reach the answer"
