"""Plots as data URIs: scores with intervals, confusion matrices, correctness on the map."""

from __future__ import annotations

import base64
import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

INK, PAPER, GRID_LINE = "#1f2933", "#ffffff", "#e4e7eb"
COLOURS = {
    "system": "#0b6e99",
    "shuffled": "#c2410c",
    "majority": "#9aa5b1",
    "majority_per_question": "#52606d",
    "colour": "#7c3aed",
    "probe": "#15803d",
    "blind": "#be185d",
}
MARKERS = {"shuffled": "X", "majority": "|", "majority_per_question": "D", "colour": "s", "probe": "^", "blind": "v"}
MAX_CLASSES = 12


def score_plot(result: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Plot every accuracy-like type: the system with its interval, baselines as small marks.

    Args:
        result: ``result.json``.
        names: Label of each source for the legend.
    """
    blocks = {name: block for name, block in result["by_type"].items() if block["accuracy"] is not None}
    if result["overall"]["accuracy"] is not None:
        blocks = {"overall": result["overall"], **blocks}
    with _figure(9.2, 0.9 + 0.52 * len(blocks)) as (figure, axes):
        for row, (name, block) in enumerate(blocks.items()):
            low, high = block["ci95"]
            axes.plot(
                [100 * low, 100 * high], [row, row], color=COLOURS["system"], lw=7, alpha=0.28, solid_capstyle="butt"
            )
            axes.plot(100 * block["score"], row, "o", color=COLOURS["system"], ms=9, label=_once(names["system"], row))
            for source, report in result["baselines"].items():
                value = report["overall"] if name == "overall" else report["by_type"][name]
                shape, colour = MARKERS.get(source, "."), COLOURS.get(source, INK)
                axes.plot(
                    100 * value["score"], row, shape, color=colour, ms=7, mew=1.6, label=_once(names[source], row)
                )
        axes.set_yticks(range(len(blocks)), [_row_label(name, block) for name, block in blocks.items()])
        axes.invert_yaxis()
        axes.set_xlim(0, 100)
        axes.set_xlabel("score, %   (band: 95 % interval of the system, pictures resampled)")
        axes.grid(axis="x", color=GRID_LINE)
        axes.legend(
            loc="upper center",
            bbox_to_anchor=(0.5, -0.75 / (0.9 + 0.52 * len(blocks))),
            ncol=4,
            frameon=False,
            fontsize=9,
        )
        return _svg_uri(figure)


def confusion_plot(title: str, right: Sequence[str], given: Sequence[str]) -> str:
    """Plot how often each right answer (row) got each given answer (column), as shares of the row."""
    rows = sorted(set(right))[:MAX_CLASSES]
    columns = [*rows, "other"]
    table = np.zeros((len(rows), len(columns)))
    for truth, answer in zip(right, given, strict=True):
        if truth in rows:
            table[rows.index(truth), columns.index(answer) if answer in rows else len(rows)] += 1
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    side = 1.7 + 0.46 * len(columns)
    with _figure(side, side * 0.92) as (figure, axes):
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for (i, j), share in np.ndenumerate(shares):
            if table[i, j]:
                axes.text(
                    j,
                    i,
                    f"{100 * share:.0f}",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color=PAPER if share > 0.55 else INK,
                )
        axes.set_xticks(range(len(columns)), columns, rotation=45, ha="right", fontsize=9)
        axes.set_yticks(
            range(len(rows)), [f"{name} ({int(n)})" for name, n in zip(rows, table.sum(1), strict=True)], fontsize=9
        )
        axes.set_xlabel("answer given")
        axes.set_ylabel("right answer (n)")
        axes.set_title(title, fontsize=11, loc="left")
        axes.tick_params(length=0)
        return _svg_uri(figure)


def map_plot(
    boxes: Sequence[tuple[float, float, float, float]],
    values: Sequence[float],
    background: tuple[NDArray[np.uint8], tuple[float, float, float, float]] | None,
) -> str:
    """Draw footprints coloured by the share of right answers.

    Args:
        boxes: ``(west, south, east, north)`` in degrees.
        values: Share of right answers, 0..1.
        background: Picture ``(H, W, 3)`` and its ``(west, south, east, north)``.
    """
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    colours = colormaps["RdYlBu"]
    with _figure(11.5, 5.3) as (figure, axes):
        axes.set_facecolor("#0b1d33")
        if background is not None:
            picture, (west, south, east, north) = background
            axes.imshow(_dimmed(picture), extent=(west, east, south, north), interpolation="bilinear", aspect="auto")
        for (west, south, east, north), value in zip(boxes, values, strict=True):
            axes.add_patch(
                Rectangle((west, south), east - west, north - south, fc=(*colours(value)[:3], 0.72), ec=PAPER, lw=0.25)
            )
        axes.set_xlim(-180, 180)
        axes.set_ylim(min(-60.0, *(box[1] for box in boxes)), max(84.0, *(box[3] for box in boxes)))
        axes.set_xlabel("longitude")
        axes.set_ylabel("latitude")
        scale = figure.colorbar(_scale(colours), ax=axes, fraction=0.022, pad=0.012)
        scale.set_label("share of right answers on the tile")
        return _png_uri(figure)


def picture_uri(path: Any, side_px: int = 192) -> str:
    """Return a picture file as a small PNG data URI; enlarged without smoothing, since tiles are few pixels wide."""
    from PIL import Image

    from geoprose.inference.features import open_picture

    picture = open_picture(path)
    scale = side_px / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    resampling = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    buffer = io.BytesIO()
    picture.resize(size, resampling).save(buffer, "PNG", optimize=True)
    return _uri("image/png", buffer.getvalue())


@contextmanager
def _figure(width: float, height: float) -> Iterator[tuple[Any, Any]]:
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    style = {
        "font.family": "DejaVu Sans",
        "font.size": 10,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": "#cbd2d9",
        "xtick.color": INK,
        "ytick.color": INK,
        "svg.fonttype": "path",
        "svg.hashsalt": "geoprose",  # the same figures give the same bytes
        "axes.axisbelow": True,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(width, height), facecolor=PAPER)
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        yield figure, axes


def _svg_uri(figure: Any) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    return _uri("image/svg+xml", buffer.getvalue())


def _png_uri(figure: Any) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight", metadata={"Software": None})
    return _uri("image/png", buffer.getvalue())


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _once(label: str, row: int) -> str | None:
    """Label only the first row, so that the legend names each source once."""
    return label if row == 0 else None


def _row_label(name: str, block: Mapping[str, Any]) -> str:
    suffix = "" if block["metric"] == "accuracy" else f", {block['metric']}"
    return f"{name}{suffix}  (n={block['n']})"


def _dimmed(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey the background a little, so that the colours of the footprints stand out."""
    grey = picture.mean(axis=-1, keepdims=True)
    return np.asarray(0.55 * picture + 0.30 * grey + 12, dtype=np.uint8)


def _scale(colours: Any) -> Any:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    return ScalarMappable(Normalize(0, 1), colours)
