"""``geoprose demo``: everything from packaged weights to answers, on the defaults."""

from __future__ import annotations

from pathlib import Path

import typer


def register(app: typer.Typer) -> None:
    """Add the verb to ``app``."""
    app.command("demo")(demo)


def demo(
    out: Path = typer.Option(Path("runs/demo"), "--out", help="Folder of the run; finished parts of it are kept."),
    full: bool = typer.Option(False, "--full", help="Also train the blind system and the ablations."),
    json_output: bool = typer.Option(False, "--json", help="Print result.json instead of tables."),
) -> None:
    """Build the world data set, train the demo system, evaluate it, write the report and ask two scenes."""
    import json

    from geoprose.evaluation.table import score_table
    from geoprose.experiments.demo import run_demo

    run = run_demo(out, full, on_phase=lambda name: typer.echo(f"[demo] {name.replace('_', ' ')}", err=True))
    if json_output:
        typer.echo(json.dumps(run.result, ensure_ascii=False, allow_nan=False))
        return
    typer.echo(score_table(run.result))
    for name, ablation in run.result.get("ablations", {}).items():
        typer.echo(f"ablation {name}: {100 * ablation['overall']['score']:.1f} overall")
    seconds = run.result["seconds"]
    typer.echo(
        f"\n{sum(seconds.values()):.0f} s ({', '.join(f'{name} {value:.0f}' for name, value in seconds.items())}), "
        f"peak memory {run.result['peak_memory_gib']:.1f} GiB\nreport: {run.report_path}\n"
    )
    for answer, path in run.answers:
        typer.echo(f"{answer.scene}\n  {answer.question}  ->  {answer.text}\n  {path}")
    scene = out / "world" / "blue_marble.tif"
    typer.echo(
        "\nTry next:\n"
        f"  geoprose info {scene}\n"
        f'  geoprose ask {scene} "Any water?" --system {out}/train/system --region 4.0,50.0,8.0,54.0\n'
        f"  geoprose evaluate {out}/train/system --task world --data {out}/world --out {out} --rescore\n"
        f"  geoprose demo --out {out} --full"
    )
