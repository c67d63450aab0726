"""``geoprose ask``: one question about one scene."""

from __future__ import annotations

from pathlib import Path

import typer

DEMO_SYSTEM = Path("runs/demo/train/system")
"""Where `make demo` leaves the trained system."""


def register(app: typer.Typer) -> None:
    """Add the verb to ``app``."""
    app.command("ask")(ask)


def ask(
    scene: Path = typer.Argument(..., help="GeoTIFF, JPEG 2000, PNG, JPEG or WebP file."),
    question: str = typer.Argument(..., help="The question, in plain words."),
    system: str = typer.Option(
        "",
        "--system",
        envvar="GEOPROSE_SYSTEM",
        help="Directory of a saved system, or name of a preset; default: the demo's, runs/demo/train/system.",
    ),
    region: str = typer.Option(
        "",
        "--region",
        help="minx,miny,maxx,maxy in degrees (pixels for a scene without CRS); default: the whole scene.",
    ),
    bands: str = typer.Option("", "--bands", help="Bands for red, green and blue, by number or name: 4,3,2."),
    out: Path | None = typer.Option(None, "--out", help="Write the answer's boxes to this GeoJSON file."),
    json_output: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Ask a question about a scene; the answer's boxes can be written as GeoJSON.

    Example: geoprose ask port.tif "Is there water?" --region 4.41,51.90,4.45,51.92 --out port.geojson
    """
    import json

    from geoprose.inference.ask import ask as ask_scene

    if out is not None:
        _check_can_place(scene, out)
    answer = ask_scene(
        scene,
        question,
        system or _default_system(),
        region=_region(region) if region else None,
        bands=_bands(bands) if bands else None,
    )
    typer.echo(f"{answer.scene}  system {answer.system}  {answer.seconds:.1f} s", err=True)
    if answer.note:
        typer.echo(f"note: {answer.note}", err=True)
    if json_output:
        typer.echo(json.dumps(answer.to_dict(), ensure_ascii=False, allow_nan=False))
    else:
        typer.echo(_printable(answer.text))
        for problem in answer.answer.problems:
            typer.echo(f"note: {problem}", err=True)
    if out is not None:
        answer.to_file(out)
    if not json_output and (answer.answer.boxes or out is not None):
        typer.echo(_boxes_line(answer, out))


def _default_system() -> str:
    from geoprose.core.errors import ResourceError

    if not DEMO_SYSTEM.is_dir():
        raise ResourceError(
            f"There is no trained system at {DEMO_SYSTEM}. Train one with `make demo` (or `geoprose demo`), "
            "or name yours with --system DIR."
        )
    return str(DEMO_SYSTEM)


def _check_can_place(scene: Path, out: Path) -> None:
    """Refuse --out for a scene without CRS before the model runs."""
    from geoprose.core.errors import GeoreferenceError
    from geoprose.scenes.open import open_scene

    with open_scene(scene) as opened:
        has_crs = opened.georef.crs is not None
    if not has_crs:
        raise GeoreferenceError(
            f"{scene.name} has no CRS, so {out.name} cannot be written: GeoJSON needs longitude and latitude. Assign a "
            "CRS with `gdal_edit.py -a_srs EPSG:<code>`, or leave --out away and take the pixel boxes of --json."
        )


def _printable(text: str) -> str:
    """Escape control characters of generated text, which could steer a terminal; line ends stay."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def _boxes_line(answer: object, out: Path | None) -> str:
    boxes = answer.answer.boxes  # type: ignore[attr-defined]
    pixels = answer.boxes_scene_px if answer.geojson is None else None  # type: ignore[attr-defined]
    if out is not None:
        return f"boxes: {len(boxes)} -> {out}"
    if pixels is not None:
        return f"boxes: {len(boxes)} in pixels: " + "; ".join(" ".join(f"{value:g}" for value in box) for box in pixels)
    return f"boxes: {len(boxes)} (--out FILE.geojson writes them)"


def _region(text: str) -> tuple[float, float, float, float]:
    from geoprose.core.errors import ConfigError

    try:
        min_x, min_y, max_x, max_y = (float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"--region {text!r} is not of the form minx,miny,maxx,maxy, four numbers.") from error
    if not (min_x < max_x and min_y < max_y):
        raise ConfigError(f"--region {text!r} is empty: minx must be below maxx and miny below maxy.")
    return min_x, min_y, max_x, max_y


def _bands(text: str) -> list[int | str]:
    return [int(part) if part.strip().isdigit() else part.strip() for part in text.split(",")]
