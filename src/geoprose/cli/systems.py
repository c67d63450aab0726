"""``geoprose systems``: which systems there are, what one is made of, what it costs, and what proves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

JSON = typer.Option(False, "--json", help="Print JSON.")
NAME = typer.Argument(..., help="Name of a system, or the path of a preset file.")
EXIT_NOT_PROVEN = 1
_FLOP_TEXT_TOKENS = 64


def register(app: typer.Typer) -> None:
    """Add the verb to ``app``."""
    systems = typer.Typer(help="List the built-in systems, show, compare or verify them.", no_args_is_help=True)
    systems.command("list")(list_systems)
    systems.command("show")(show_system)
    systems.command("compare")(compare_systems)
    systems.command("verify")(verify)
    app.add_typer(systems, name="systems")


def list_systems(json_output: bool = JSON) -> None:
    """List the built-in systems: family, parts, size, visual tokens and level of proof."""
    from geoprose.systems.presets import list_presets

    rows = [_summary(name) for name in list_presets()]
    if json_output:
        _print_json(rows)
        return
    columns = ("system", "family", "encoder", "connector", "fusion", "language model", "parameters", "tokens", "proof")
    table = _table(*columns)
    for row in rows:
        slots = row["slots"]
        parts = [slots.get(slot, "-") for slot in ("vision_encoder", "connector", "fusion", "language_model")]
        size = [_in_millions(row["parameters"]), _or_dash(row["visual_tokens"])]
        table.add_row(row["name"], row["family"], *parts, *size, row["verified"])
    _print_table(table)


def show_system(name: str = NAME, json_output: bool = JSON) -> None:
    """Show one system: its slots, its size, where its parts come from, and what proves it."""
    from geoprose.systems.interop.released import importable_class
    from geoprose.systems.presets import load_preset

    spec = load_preset(name)
    summary = _summary(name) | {"importable_class": importable_class(spec.name, spec.reference)}
    if json_output:
        _print_json({**summary, "spec": spec.model_dump(mode="json"), "spec_hash": spec.content_hash()})
        return
    typer.echo(f"{spec.name}: {spec.summary}\n")
    for slot, value in summary["slots"].items():
        typer.echo(f"  {slot:<16}{value}")
    typer.echo(f"  {'parameters':<16}{_in_millions(summary['parameters'])}")
    for part, count in summary["parameters_by_part"].items():
        typer.echo(f"    {part:<14}{_in_millions(count)}")
    typer.echo(f"  {'visual tokens':<16}{_or_dash(summary['visual_tokens'])}")
    for size, tokens in summary["visual_tokens_by_size"].items():
        typer.echo(f"    {size:<14}{tokens}")
    for part, origin in summary["weights"].items():
        typer.echo(f"  {part + ' weights':<26}{origin}")
    typer.echo(f"\nsource    {spec.source}\nverified  {spec.verified}\nproof     {spec.proof}")
    released = summary["importable_class"]
    typer.echo(f"import    {f'released checkpoints of class {released}' if released else 'no released layout is read'}")
    typer.echo(f"licence   {getattr(spec, 'license', '') or 'not recorded'}")


def compare_systems(
    first: str = NAME,
    second: str = NAME,
    width: int = typer.Option(448, help="Columns of the picture, pixels."),
    height: int = typer.Option(448, help="Rows of the picture, pixels."),
    json_output: bool = JSON,
) -> None:
    """Compare two systems slot by slot, with parameters, visual tokens, FLOPs and memory for one picture."""
    rows = {name: _costs(name, width, height) for name in (first, second)}
    keys = list(dict.fromkeys(key for row in rows.values() for key in row))
    if json_output:
        _print_json([{"name": name, **row} for name, row in rows.items()])
        return
    table = _table(f"{width} x {height} px", first, second)
    for key in keys:
        values = [rows[name].get(key) for name in (first, second)]
        mark = "" if values[0] == values[1] else "  *"
        table.add_row(key + mark, *(_readable(key, value) for value in values))
    _print_table(table)


def verify(name: str = NAME, json_output: bool = JSON) -> None:
    """Compare a tiny random copy of a system with its transformers class, in float64. Exit code 1 if they differ."""
    from geoprose.systems.verify import verify_system

    result = verify_system(name)
    if json_output:
        _print_json(result.to_dict())
    else:
        typer.echo(f"{result.system} against {result.architecture}, float64, random weights")
        for case, outcome in result.cases.items():
            tokens = "same greedy tokens" if outcome.same_tokens else "OTHER greedy tokens"
            typer.echo(
                f"  {case:<24}logits differ by at most {outcome.max_difference:.1e}, {tokens}; "
                f"another picture moves them by {outcome.picture_effect:.1e}"
            )
        typer.echo(f"  {'one permuted weight':<24}moves the logits by {result.control_difference:.1e}")
        typer.echo(f"  {'save and load':<24}{'exact' if result.is_exact_after_reload else 'NOT exact'}")
        typer.echo("holds" if result.holds else "DOES NOT HOLD")
    if not result.holds:
        raise typer.Exit(EXIT_NOT_PROVEN)


def _summary(name: str) -> dict[str, Any]:
    from geoprose.systems.counts import count_preset, stored_counts
    from geoprose.systems.presets import load_preset

    spec = load_preset(name)
    counts = stored_counts().get(name) or count_preset(name)
    return {
        "name": spec.name,
        "family": spec.family,
        "verified": spec.verified,
        "parameters": counts.parameters,
        "visual_tokens": counts.visual_tokens,
        "visual_tokens_by_size": counts.visual_tokens_by_size,
        "parameters_by_part": counts.by_part,
        "summary": spec.summary,
        "source": spec.source,
        "proof": spec.proof,
        "license": getattr(spec, "license", ""),
        "slots": spec.slots(),
        "weights": _origins(spec),
    }


def _origins(spec: Any) -> dict[str, str]:
    return {
        part: "none" if origin is None else " ".join(str(v) for v in origin.model_dump().values() if v is not None)
        for part, origin in spec.weights_of_parts().items()
    }


def _costs(name: str, width: int, height: int) -> dict[str, Any]:
    from geoprose.core.errors import ProcessingError
    from geoprose.systems import cost
    from geoprose.systems.build import build_meta_model
    from geoprose.systems.presets import load_preset

    spec: Any = load_preset(name)
    model: Any = build_meta_model(spec)
    values: dict[str, Any] = {**spec.slots(), "family": spec.family, "verified": spec.verified}
    values["parameters"] = sum(cost.parameters_by_part(model).values())
    if not hasattr(spec, "packer"):
        return values
    tokens = cost.visual_tokens(spec, model, width, height)
    memory = cost.memory_bytes(model, tokens + _FLOP_TEXT_TOKENS)
    values |= {"visual_tokens": tokens, "inference_bytes": memory.inference, "training_bytes": memory.training}
    try:
        values["flops"] = sum(cost.forward_flops(spec, model, (width, height), _FLOP_TEXT_TOKENS).values())
    except ProcessingError:
        values["flops"] = None
    return values


def _in_millions(count: int) -> str:
    return f"{count / 1e6:,.1f} M"


def _or_dash(value: Any) -> str:
    return "-" if value is None else str(value)


def _readable(key: str, value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or "-"
    if key == "parameters":
        return _in_millions(value)
    if key.endswith("_bytes"):
        return f"{value / 2**30:.1f} GiB"
    return f"{value / 1e9:,.0f} GFLOP" if key == "flops" else str(value)


def _table(*columns: str) -> Table:
    from rich.table import Table

    return Table(*columns)


def _print_table(table: Table) -> None:
    from rich.console import Console

    Console().print(table)


def _print_json(value: Any) -> None:
    import json

    typer.echo(json.dumps(value, indent=2))
