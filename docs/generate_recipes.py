"""The page of every recipe: stages, what trains, rates, source and launch command, from the YAML files themselves."""

from __future__ import annotations

from typing import Any

INTRO = """# Recipes

Every published schedule is a recipe: `geoprose train NAME --data DIR`. `--tiny` runs all of its stages in seconds on
random small parts and drawn data, `--dry-run` shows what it would train, `geoprose plan NAME --gpus 8xA100-80G` what it
needs.

Batch is `batch_size` times `accumulation`, what one process takes in a step; a launch command divides it over its
processes. A rate for some parts only stands behind their glob. Where a paper leaves a value out, the notes say so.

"""


def render_recipes() -> str:
    """Return the page."""
    from geoprose.training.recipes import RECIPES, list_recipes, load_recipe

    names = list_recipes()
    rows = "".join(_row(load_recipe(name)) for name in names)
    table = "| recipe | system | stages | losses |\n|---|---|---|---|\n" + rows + "\n"
    sections = [_section(load_recipe(name), RECIPES.find(name).read_text(encoding="utf-8")) for name in names]
    return "".join([INTRO, table, *sections]).rstrip() + "\n"


def _row(recipe: Any) -> str:
    losses = dict.fromkeys(name for stage in recipe.stages for name in _losses(stage))
    stages = ", ".join(stage.name for stage in recipe.stages)
    return f"| [{recipe.name}](#{_anchor(recipe.name)}) | {recipe.system} | {stages} | {', '.join(losses)} |\n"


def _section(recipe: Any, text: str) -> str:
    notes = " ".join(line[1:].strip() for line in text.splitlines() if line.startswith("#"))
    head = "| stage | trains | losses | steps | batch | rate | schedule | rows |\n|---|---|---|---|---|---|---|---|\n"
    facts = [f"Source: {recipe.source}."] if recipe.source else []
    facts += [f"Proof: {recipe.verified}."] if recipe.verified else []
    facts += [f"Notes: {notes}"] if notes else []
    launch = f"\n```\n{recipe.launch}\n```\n" if recipe.launch else ""
    body = head + "".join(_stage_row(stage) for stage in recipe.stages)
    return f"## {recipe.name}\n\n{recipe.description}\n\n{body}\n" + "\n\n".join(facts) + f"\n{launch}\n"


def _stage_row(stage: Any) -> str:
    trains = [f"`{glob}`" for glob in stage.trainable]
    trains += [f"adapters of rank {stage.lora.rank} on {', '.join(stage.lora.targets)}"] if stage.lora else []
    rates = [f"{stage.learning_rate:g}", *(f"`{glob}` {rate:g}" for glob, rate in stage.learning_rates.items())]
    schedule = f"{stage.schedule.kind}, warm-up {stage.schedule.warmup_steps}"
    rows = stage.packing + (f" {stage.max_row_tokens}" if stage.max_row_tokens else "")
    batch = f"{stage.batch_size * stage.accumulation:,}"
    cells = (stage.name, ", ".join(trains), ", ".join(_losses(stage)), f"{stage.steps:,}", batch, ", ".join(rates))
    return "| " + " | ".join((*cells, schedule, rows)) + " |\n"


def _losses(stage: Any) -> list[str]:
    return [stage.policy.method] if stage.policy else [loss.label for loss in stage.losses]


def _anchor(name: str) -> str:
    return name.replace(".", "")
