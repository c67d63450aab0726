"""``geoprose import`` and ``geoprose export``: released checkpoints in, our systems out."""

from __future__ import annotations

from pathlib import Path

import typer


def register(app: typer.Typer) -> None:
    """Add the verbs to ``app``."""
    app.command("import")(import_)
    app.command("export")(export)


def import_(
    folder: Path = typer.Argument(..., help="Folder of a released checkpoint: config.json, safetensors, tokenizer."),
    out: Path = typer.Option(..., "--out", help="Folder to write the system to."),
    preset: str | None = typer.Option(None, "--preset", help="The preset it belongs to, where several would fit."),
    dtype: str | None = typer.Option(
        None, "--dtype", help="float32, bfloat16 or float16; that of the files by default."
    ),
    vision: Path | None = typer.Option(None, "--vision", help="Vision encoder of an original LLaVA or GeoChat layout."),
    tokenizer: Path | None = typer.Option(None, "--tokenizer", help="Fast tokenizer, where the release has none."),
) -> None:
    """Bring a released checkpoint into a system: every weight is accounted for, or nothing is written."""
    from geoprose.core.errors import ConfigError
    from geoprose.systems.save import save_system
    from geoprose.systems.transfer import import_checkpoint
    from geoprose.systems.transfer_llava import import_llava_layout, is_llava_layout
    from geoprose.systems.transfer_released import import_released, released_layout

    names = {"float32", "bfloat16", "float16"}
    if dtype is not None and dtype not in names:
        raise ConfigError(f"Unknown dtype {dtype!r}. Known: {', '.join(sorted(names))}.")
    import torch

    wanted = None if dtype is None else getattr(torch, dtype)
    if is_llava_layout(folder):
        imported = import_llava_layout(folder, vision, preset or "geochat", wanted)
    elif released_layout(folder) is not None:
        imported = import_released(folder, preset, wanted, tokenizer)
    else:
        imported = import_checkpoint(folder, preset, wanted)
    save_system(imported.system, out)
    left_out = (
        f"; {len(imported.left_out)} weights that the system does without were left out" if imported.left_out else ""
    )
    typer.echo(f"{imported.system.spec.name}: {imported.system.model.num_parameters():,} parameters in {out}{left_out}")


def export(
    system: Path = typer.Argument(..., help="Folder of a system."),
    to: Path = typer.Option(..., "--to", help="New folder, in the layout of transformers."),
) -> None:
    """Write a system as its transformers class reads it."""
    from geoprose.systems.load import load_system
    from geoprose.systems.transfer import export_checkpoint

    typer.echo(f"wrote {export_checkpoint(load_system(system), to)}")
