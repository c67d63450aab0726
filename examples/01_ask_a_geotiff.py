"""Ask a question about a GeoTIFF and write the answer as GeoJSON.

    python examples/01_ask_a_geotiff.py port.tif runs/demo/train/system "Any water?"

Needs ``geoprose[train]`` and a trained system, such as the one that ``make demo`` leaves.
"""

from __future__ import annotations

import sys
from pathlib import Path

import geoprose


def main(scene: str, system_dir: str, question: str) -> None:
    """Ask and print; the GeoJSON lies beside the scene."""
    system = geoprose.load(system_dir)
    answer = geoprose.ask(scene, question, system=system)
    print(answer.scene)
    print(f"{answer.question} -> {answer.text!r} ({answer.answer.status}, {answer.seconds:.1f} s)")
    if answer.note:
        print(f"note: {answer.note}")
    if answer.geojson is not None:
        print(f"wrote {answer.to_file(Path(scene).with_suffix('.geojson'))}")


if __name__ == "__main__":
    main(*sys.argv[1:4])
