"""The ``geoprose`` command: one file per verb, heavy imports inside each verb."""

from __future__ import annotations

import sys
from importlib import import_module

import typer

VERBS = (
    "info",
    "ask",
    "train",
    "distill",
    "plan",
    "evaluate",
    "score",
    "compare",
    "diagnose",
    "report",
    "data",
    "systems",
    "transfer",
    "doctor",
    "demo",
    "reproduce",
)
"""Order of the verbs in ``--help``; each one is a module of this folder with a ``register(app)`` function."""

app = typer.Typer(
    name="geoprose",
    help="Compose, train, evaluate and ask multimodal language models for remote sensing.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich doubles the start-up time
    add_completion=True,
)


def _version(value: bool) -> None:
    if value:
        from geoprose.core.version import __version__

        typer.echo(f"geoprose {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Exit codes: 0 done, 1 failure, 2 usage, 3 asset missing, 4 bad input, 5 partly done, 130 and 143 stopped."""


for _verb in VERBS:
    import_module(f"geoprose.cli.{_verb}").register(app)


def main() -> None:
    """Run the command line; a geoprose error becomes one message on stderr and its documented exit code."""
    from geoprose.core.errors import GeoproseError

    try:
        app()
    except GeoproseError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        sys.exit(130)
