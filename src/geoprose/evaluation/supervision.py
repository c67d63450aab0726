"""Say what a system was trained with, from the record that training left beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

RECORD_NAME = "run.json"
PARENTS = 3
"""How far above the system's directory a run record is looked for."""


def describe_supervision(system_dir: Path) -> list[str]:
    """Return one sentence per training stage: steps, what trained, losses, labels; empty when no record is found."""
    record = _record_near(system_dir)
    recipe = next(_mappings_with(record, "stages"), None)
    if recipe is None:
        return []
    sentences = [_stage_sentence(stage) for stage in recipe["stages"] if isinstance(stage, Mapping)]
    if recipe.get("images") == "blank":
        sentences.append("Trained blind: every picture was replaced by zeros.")
    return sentences


def _record_near(system_dir: Path) -> Any:
    if not system_dir.is_dir():
        return {}
    resolved = system_dir.resolve()
    for folder in [resolved, *list(resolved.parents)[:PARENTS]]:
        path = folder / RECORD_NAME
        if path.is_file():
            try:
                record = json.loads(path.read_text(encoding="utf-8"))
            except ValueError:
                continue
            if next(_mappings_with(record, "stages"), None) is not None:
                return record
    return {}


def _mappings_with(value: Any, key: str) -> Iterator[Mapping[str, Any]]:
    """Walk nested mappings, the outermost first, and yield those that hold a list under ``key``."""
    if not isinstance(value, Mapping):
        return
    if isinstance(value.get(key), list):
        yield value
    for inner in value.values():
        yield from _mappings_with(inner, key)


def _stage_sentence(stage: Mapping[str, Any]) -> str:
    trained = [str(name) for name in stage.get("trainable") or ()]
    lora = stage.get("lora")
    if isinstance(lora, Mapping):
        trained.append(f"LoRA rank {lora.get('rank')} on the {lora.get('within', 'language_model')}")
    losses = [_loss_words(loss) for loss in stage.get("losses") or () if isinstance(loss, Mapping)]
    sources = sorted({str(source.get("path")) for source in stage.get("data") or () if isinstance(source, Mapping)})
    return (
        f"Stage {stage.get('name')}: {stage.get('steps')} steps, trains {', '.join(trained) or 'nothing'}; "
        f"supervised by {' and '.join(losses) or 'no loss'}; data {', '.join(sources) or 'not recorded'}."
    )


def _loss_words(loss: Mapping[str, Any]) -> str:
    if loss.get("type") == "lm":
        return "the words of the answers"
    if loss.get("type") == "lexical_alignment" and loss.get("supervision", "cells") == "cells":
        return "the land cover below each visual token (dense labels, lexical alignment)"
    if loss.get("type") == "lexical_alignment":
        return "the words of the captions (multiple-instance lexical alignment)"
    return str(loss.get("type"))
