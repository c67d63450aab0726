"""The page of every system: table, taxonomies and a diagram each, from the presets themselves."""

from __future__ import annotations

from html import escape
from typing import Any

SLOTS = ("resolution", "vision_encoder", "connector", "packer", "fusion", "language_model")
BOX_WIDTH, BOX_HEIGHT, GAP = 138, 46, 22
INTRO = """# Systems

Every published system is a preset over the same few parts. `geoprose systems show NAME` prints one,
`geoprose systems compare A B` two side by side, `geoprose systems verify NAME` runs its proof.

**Proof**: *parity* means the same logits as the transformers class, in float64 with random weights, within 1e-5, with
the same greedy tokens, and a permuted weight is noticed; *golden* means equal to stored outputs of the published code;
*structural* means hand-computed cases and published counts; *none* says why below the system.

Parameters are those of the whole preset at published size, counted without weights; a vocabulary is padded to a
multiple of 64 rows. Tokens are those of a picture of the system's own size.

"""


def render_systems() -> str:
    """Return the page."""
    from geoprose.systems.counts import stored_counts
    from geoprose.systems.presets import list_presets, load_preset

    specs = [load_preset(name) for name in list_presets()]
    counts = stored_counts()
    parts = [INTRO, _table(specs, counts), _taxonomies(specs)]
    parts += [_section(spec, counts.get(spec.name)) for spec in specs]
    return "".join(parts).rstrip() + "\n"


def _table(specs: list[Any], counts: dict[str, Any]) -> str:
    head = "| system | parameters | tokens | encoder | connector | fusion | language model | proof |\n"
    return (
        head
        + "|---|---|---|---|---|---|---|---|\n"
        + "".join(_row(spec, counts.get(spec.name)) for spec in specs)
        + "\n"
    )


def _row(spec: Any, counts: Any) -> str:
    slots = spec.slots()
    size = f"{counts.parameters / 1e6:,.1f} M" if counts else "-"
    tokens = str(counts.visual_tokens) if counts and counts.visual_tokens is not None else "-"
    parts = [slots.get(slot, "-") for slot in ("vision_encoder", "connector", "fusion", "language_model")]
    cells = [f"[{spec.name}](#{_anchor(spec.name)})", size, tokens, *parts, spec.verified]
    return "| " + " | ".join(cells) + " |\n"


def _taxonomies(specs: list[Any]) -> str:
    from geoprose.systems.taxonomy import classify

    text = "## Taxonomies\n\n"
    for field, title in (
        ("kind", "How pictures become tokens"),
        ("paradigm", "Paradigm"),
        ("fusion", "Where picture and text meet"),
        ("alignment", "How modalities are aligned"),
    ):
        groups: dict[str, list[str]] = {}
        for spec in specs:
            groups.setdefault(getattr(classify(spec), field), []).append(spec.name)
        text += f"### {title}\n\n"
        text += "".join(f"- **{name}**: {', '.join(members)}\n" for name, members in sorted(groups.items())) + "\n"
    return text


def _section(spec: Any, counts: Any) -> str:
    from geoprose.systems.interop.released import importable_class

    text = f"## {spec.name}\n\n{spec.summary}\n\n{_diagram(spec)}\n\n"
    text += f"- Source: {spec.source}\n- Proof: {spec.verified}. {spec.proof}\n"
    released = importable_class(spec.name, spec.reference)
    text += f"- Released checkpoints that `geoprose import` reads: {f'`{released}`' if released else 'none'}\n"
    if counts is not None and counts.visual_tokens_by_size:
        sizes = ", ".join(f"{size} px: {tokens}" for size, tokens in counts.visual_tokens_by_size.items())
        text += f"- Visual tokens: {sizes}\n"
    return text + "\n"


def _diagram(spec: Any) -> str:
    """Return the line from pixels to text as an inline drawing that needs no script."""
    slots = spec.slots()
    shown = [(slot, slots[slot]) for slot in (*SLOTS, *(name for name in slots if name not in SLOTS)) if slot in slots]
    shown = [(slot, name) for slot, name in shown if slot not in ("position", "box_format")]
    width = len(shown) * (BOX_WIDTH + GAP)
    drawn = "".join(_box(index, slot, name) for index, (slot, name) in enumerate(shown))
    label = escape(f"{spec.name}: " + ", then ".join(f"{slot} {name}" for slot, name in shown))
    return (
        f'<svg viewBox="0 0 {width} {BOX_HEIGHT + 4}" role="img" aria-label="{label}" style="max-width:100%" '
        f'font-family="sans-serif" xmlns="http://www.w3.org/2000/svg">{drawn}</svg>'
    )


def _box(index: int, slot: str, name: str) -> str:
    left = index * (BOX_WIDTH + GAP) + 2
    middle = left + BOX_WIDTH / 2
    arrow_start = left - GAP
    arrow = (
        f'<path d="M{arrow_start + 2} {BOX_HEIGHT / 2} h{GAP - 8} m-5 -4 l5 4 l-5 4" fill="none" stroke="#5b6b7b"/>'
        if index
        else ""
    )
    short = name if len(name) <= 22 else name[:21] + "\u2026"
    words = "".join(
        f'<text x="{middle}" y="{y}" text-anchor="middle" font-size="{size}" fill="{colour}">{escape(text)}</text>'
        for text, y, size, colour in ((slot.replace("_", " "), 20, 11, "#5b6b7b"), (short, 37, 12, "#1d2733"))
    )
    frame = f'<rect x="{left}" y="2" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6" fill="#eef3f8" stroke="#5b6b7b"/>'
    return arrow + frame + words


def _anchor(name: str) -> str:
    return name.replace(".", "")
