"""``geoprose doctor``: is everything here that the built-in systems need?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from geoprose.assets.doctor import AssetReport
    from geoprose.assets.environment import EnvironmentFact

EXIT_NOT_COMPLETE = 3


def register(app: typer.Typer) -> None:
    """Add the verb to ``app``."""
    app.command("doctor")(doctor)


def doctor(
    json_output: bool = typer.Option(False, "--json", help="Print one JSON object."),
    fetch: bool = typer.Option(False, "--fetch", help="Download what is missing or damaged (about 290 MB in all)."),
) -> None:
    """Report weights, imagery and environment. Exit code 3 if an asset is missing or damaged."""
    from geoprose.assets.cache import cache_root
    from geoprose.assets.doctor import doctor as check
    from geoprose.assets.environment import environment_facts

    reports = check()
    if fetch and any(report.status != "present" for report in reports):
        _fetch([report.name for report in reports if report.status != "present"])
        reports = check()
    facts = environment_facts(cache_root())
    is_complete = all(report.status == "present" for report in reports)
    if json_output:
        import json

        value = {
            "complete": is_complete,
            "cache": str(cache_root()),
            "assets": [report.model_dump(mode="json") for report in reports],
            "environment": [fact.model_dump(mode="json") for fact in facts],
        }
        typer.echo(json.dumps(value, indent=2))
    else:
        _print_tables(reports, facts, str(cache_root()))
    if not is_complete:
        raise typer.Exit(EXIT_NOT_COMPLETE)


def _fetch(names: list[str]) -> None:
    from rich.console import Console

    from geoprose.assets.resolve import resolve
    from geoprose.core.errors import AssetError

    console = Console(stderr=True)
    for name in names:
        try:
            with console.status(f"fetching {name}"):
                resolve(name)
        except AssetError as error:
            console.print(f"{name}: {error}", markup=False, highlight=False, soft_wrap=True)
        else:
            console.print(f"{name}: fetched", markup=False, highlight=False)


def _print_tables(reports: list[AssetReport], facts: list[EnvironmentFact], cache: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    colour = {"present": "green", "ok": "green", "missing": "yellow", "mismatched": "red", "warning": "yellow"}

    def marked(status: str) -> str:
        return f"[{colour[status]}]{status}[/]" if status in colour else status

    assets = Table(
        "asset", "status", "licence", "MB", "source", title=f"Assets in {escape(cache)}", title_justify="left"
    )
    for report in reports:
        size = f"{report.size_bytes / 1e6:.0f}"
        source = report.sources[0] if report.sources else "none"
        assets.add_row(report.name, marked(report.status), report.licence or "none", size, escape(source))
    environment = Table("environment", "status", "found", title_justify="left")
    for fact in facts:
        environment.add_row(fact.name, marked(fact.status), escape(fact.value))
    console = Console()
    console.print(assets)
    console.print(environment)
    advices = [(report.name, report.advice) for report in reports] + [(fact.name, fact.advice) for fact in facts]
    for name, advice in advices:
        if advice:
            console.print(f"{name}: {advice}", markup=False, highlight=False, soft_wrap=True)
