"""``geoprose plan``: memory and hours of a recipe on accelerators that need not be there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from geoprose.training.planner.plan import PlanOptions, StagePlan
    from geoprose.training.planner.workload import Workload
    from geoprose.training.specs.recipe import RecipeSpec

GPUS_HELP = "Accelerators, such as 8xA100-80G. Known: V100, A100-80G, H100, ..."


def register(app: typer.Typer) -> None:
    """Add the verb to ``app``."""
    app.command("plan")(plan)


def plan(
    recipe: str = typer.Argument(..., help="Name of a shipped recipe, or path of a YAML file."),
    gpus: str = typer.Option(..., "--gpus", help=GPUS_HELP),
    overrides: list[str] = typer.Option([], "--set", help="Change one value: sharding=full. May be repeated."),
    sample: str = typer.Option(
        "", "--sample", help="What a sample is: text_tokens=128,answer_tokens=64,pictures=1,samples=558128."
    ),
    mfu: float = typer.Option(0.4, "--mfu", min=0.01, max=1.0, help="Share of the peak that operations reach."),
    json_output: bool = typer.Option(False, "--json", help="Print one JSON object on stdout."),
) -> None:
    """Estimate memory and time of every stage of a recipe; builds no weights and reads no data."""
    from geoprose.training.planner.gpus import parse_cluster
    from geoprose.training.planner.plan import PlanOptions, plan_stages
    from geoprose.training.recipes import load_recipe

    spec = load_recipe(recipe, overrides)
    options = PlanOptions(parse_cluster(gpus), _workload(sample), mfu)
    plans = plan_stages(spec, options)
    if json_output:
        hours = sum(stage.duration.hours + stage.duration.cache_hours for stage in plans)
        head = {"recipe": spec.name, "gpus": options.cluster.name, "mfu": mfu, "hours": hours}
        typer.echo(json.dumps({**head, "stages": [stage.as_dict() for stage in plans]}))
        return
    typer.echo(plan_text(spec, options, plans))


def plan_text(recipe: RecipeSpec, options: PlanOptions, plans: list[StagePlan]) -> str:
    """Return the plan in words."""
    gpu = options.cluster.gpu
    workload = options.workload
    lines = [
        f"recipe {recipe.name} on {options.cluster.name} ({gpu.memory_gib:g} GiB and {gpu.bf16_tflops:g} TFLOP/s in 16 "
        f"bits each, {100 * options.mfu:.0f} % of it reached)",
        f"a sample is taken to be {workload.pictures} picture(s) and {workload.text_tokens} tokens of text, "
        f"{workload.answer_tokens} of them learnt",
    ]
    for stage in plans:
        lines += _stage_lines(stage, gpu.memory_gib)
    hours = sum(stage.duration.hours + stage.duration.cache_hours for stage in plans)
    return "\n".join([*lines, f"in all {hours:,.1f} hours"])


def _stage_lines(stage: StagePlan, limit_gib: float) -> list[str]:
    from geoprose.training.planner.gpus import GIB

    memory, laid, facts = stage.memory, stage.arrangement, stage.facts
    verdict = "fits" if stage.fits else f"does NOT fit into {limit_gib:g} GiB"
    parts = ", ".join(f"{name} {value / GIB:.1f}" for name, value in vars(memory).items() if value)
    layout = f"{laid.rows} x {stage.accumulation} rows of {facts.row.tokens} tokens, sharding {laid.sharding}"
    layout += ", layers recomputed" if laid.checkpointing else ""
    layout += f", {laid.chunk} pairs at a time" if laid.chunk else ""
    lines = [
        f"  stage {facts.name}: {memory.total / GIB:.1f} GiB each, {verdict}; {stage.duration.hours:,.1f} hours",
        f"    {layout}; trains {facts.trained:,} parameters; {stage.duration.row_flops / 1e12:,.1f} TFLOP a row, "
        f"{stage.duration.step_seconds:.2f} s a step",
        f"    GiB: {parts}",
    ]
    if stage.cache_bytes:
        disk = f"{stage.cache_bytes / GIB:,.1f} GiB on disk"
        lines.append(f"    cache of features: {disk}, {stage.duration.cache_hours:.1f} hours once")
    lines += [f"    to make it fit: {advice}" for advice in stage.advice]
    return lines + [f"    note: {note}" for note in facts.notes]


def _workload(text: str) -> Workload:
    """Read ``text_tokens=128,pictures=1``."""
    from geoprose.core.errors import ConfigError
    from geoprose.core.registry import unknown_name_message
    from geoprose.training.planner.workload import Workload

    known = ("text_tokens", "answer_tokens", "pictures", "samples")
    values: dict[str, Any] = {}
    for entry in filter(None, text.split(",")):
        name, _, number = entry.partition("=")
        if name.strip() not in known:
            raise ConfigError(unknown_name_message("property of a sample", name, known))
        if not number.strip().isdigit() or int(number) < 1:
            raise ConfigError(f"--sample {entry}: {name} must be a whole number above zero.")
        values[name.strip()] = int(number)
    return Workload(**values)
