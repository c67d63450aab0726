"""The page of every protocol: its variants, what each does differently, where it is from and what is wrong with it."""

from __future__ import annotations

from typing import Any

INTRO = """# Protocols

A protocol holds the published ways to score one kind of answer, each a named variant. The default counts; the others
stand beside it in `result.json`, in reports and in `geoprose score`. A variant with a **fault** reproduces published
numbers and must not be trusted; it is never a default. Why each fault matters:
[How answers are scored](../explanation/scoring-answers.md).

"""


def render_protocols() -> str:
    """Return the page."""
    from geoprose.evaluation.protocols import list_protocols, load_protocol

    parts = [INTRO, *(_section(load_protocol(name)) for name in list_protocols())]
    return "".join(parts).rstrip() + "\n"


def _section(protocol: Any) -> str:
    rows = "".join(_row(name, variant, name == protocol.default) for name, variant in protocol.variants.items())
    head = "| variant | what it does | source |\n|---|---|---|\n"
    return (
        f"## {protocol.name}\n\n{protocol.title}, version {protocol.version}. {protocol.description}\n\n{head}{rows}\n"
    )


def _row(name: str, variant: Any, is_default: bool) -> str:
    options = ", ".join(f"{key}: {value}" for key, value in variant.options.items())
    metric = f"`{variant.metric}`" + (f" ({options})" if options else "")
    needs = f" Needs {', '.join(f'`{key}`' for key in variant.needs)}." if variant.needs else ""
    fault = f" **Fault:** {variant.fault}" if variant.fault else ""
    shown = f"**`{name}`** (default)" if is_default else f"`{name}`"
    cells = (shown, f"{variant.differs}{fault}{needs} Metric {metric}.", variant.source)
    return "| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |\n"
