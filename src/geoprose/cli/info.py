"""``geoprose info``: what a scene is, without decoding it."""

from __future__ import annotations

import json
from pathlib import Path

import typer


def register(app: typer.Typer) -> None:
    """Add the verb to ``app``."""
    app.command("info")(info)


def info(
    scene: Path = typer.Argument(..., help="GeoTIFF, COG, JPEG 2000, PNG, JPEG or WebP."),
    json_output: bool = typer.Option(False, "--json", help="One JSON object instead of tables."),
) -> None:
    """Show size, bands, CRS, GSD, footprint, overviews and nodata of a scene."""
    from geoprose.scenes.info import describe_scene, scene_table

    facts = describe_scene(scene)
    if json_output:
        typer.echo(json.dumps(facts, allow_nan=False))
        return
    from rich.console import Console

    Console(markup=False, highlight=False).print(scene_table(facts))
