"""``geoprose systems``: which systems there are, and what one is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from geoprose.systems.spec import SystemSpec


def register(app: typer.Typer) -> None:
    """Add the verb to ``app``."""
    systems = typer.Typer(help="List the built-in systems, or show one.", no_args_is_help=True)
    systems.command("list")(list_systems)
    systems.command("show")(show_system)
    app.add_typer(systems, name="systems")


def list_systems(json_output: bool = typer.Option(False, "--json", help="Print one JSON object.")) -> None:
    """List the built-in systems with the name in each slot."""
    from geoprose.systems.presets import list_presets, load_preset

    specs = [load_preset(name) for name in list_presets()]
    if json_output:
        _print_json({"systems": [_summary(spec) for spec in specs]})
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("system", "vision encoder", "connector", "language model", "visual tokens", "boxes")
    for spec in specs:
        slots, tokens = spec.slots(), spec.num_visual_tokens()
        table.add_row(
            spec.name,
            f"{slots['vision_encoder']}, {spec.resolution.image_size} px",
            slots["connector"],
            slots["language_model"],
            "?" if tokens is None else str(tokens),
            slots["box_format"],
        )
    Console().print(table)


def show_system(
    name: str = typer.Argument(..., help="Name of a system, or the path of a preset file."),
    json_output: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Show one system: its slots, where its parts come from, and what proves it."""
    from geoprose.systems.presets import load_preset

    spec = load_preset(name)
    if json_output:
        _print_json({**_summary(spec), "spec": spec.model_dump(mode="json"), "spec_hash": spec.content_hash()})
        return
    summary = _summary(spec)
    typer.echo(f"{spec.name}: {spec.summary}\n")
    for slot, value in summary["slots"].items():
        typer.echo(f"  {slot:<16}{value}")
    typer.echo(f"  {'visual tokens':<16}{summary['num_visual_tokens']}")
    for part, origin in summary["weights"].items():
        typer.echo(f"  {part + ' weights':<26}{origin}")
    typer.echo(f"\nsource    {spec.source}\nverified  {spec.verified}\nlicence   {spec.license or 'not recorded'}")


def _summary(spec: SystemSpec) -> dict[str, Any]:
    weights = {"vision_encoder": spec.vision_encoder.weights, "language_model": spec.language_model.weights}
    return {
        "name": spec.name,
        "summary": spec.summary,
        "source": spec.source,
        "verified": spec.verified,
        "license": spec.license,
        "slots": spec.slots(),
        "num_visual_tokens": spec.num_visual_tokens(),
        "weights": {
            part: "none" if origin is None else " ".join(str(v) for v in origin.model_dump().values() if v is not None)
            for part, origin in weights.items()
        },
    }


def _print_json(value: dict[str, Any]) -> None:
    import json

    typer.echo(json.dumps(value, indent=2))
