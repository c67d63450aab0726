"""A dual encoder before its training: a pretrained vision tower, and all else as the seed draws it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.experiments.reproduce.text_words import vocabulary_of
from geoprose.systems.build import build_system
from geoprose.systems.dual_encoder import load_tower
from geoprose.systems.presets import load_preset
from geoprose.systems.pretrained import weights_dir
from geoprose.systems.save import save_system

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.experiments.reproduce.base import Scale


def write_start(folder: Path, preset: str, words_dir: Path, seed: int, scale: Scale) -> None:
    """Save the system that training starts from.

    Args:
        folder: Folder to write.
        preset: Preset of the dual encoder.
        words_dir: Folder of ``write_words``: the vocabulary of the text tower.
        seed: Draws text tower and projections.
        scale: ``tiny`` draws the vision tower too, and reads bytes instead of the words.
    """
    if scale == "tiny":
        save_system(build_system(preset, scale="tiny", seed=seed), folder)
        return
    vocabulary = vocabulary_of(words_dir)
    changes = [
        f"text_encoder.weights={{path: '{words_dir.resolve()}'}}",
        f"text_encoder.config.vocab_size={vocabulary}",
    ]
    spec = load_preset(preset, changes)
    system = build_system(spec, weights=False, seed=seed)
    load_tower(system.model.vision, weights_dir(spec.vision_encoder.weights, "vision_encoder"))
    save_system(system, folder)
