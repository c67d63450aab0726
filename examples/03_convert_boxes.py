"""Convert the boxes of an answer to every format that can express them, and place them on the map. Needs no torch.

python examples/03_convert_boxes.py "<p>two ships</p> {<10><20><30><40>|<30>}" geochat
"""

from __future__ import annotations

import json
import sys

from geoprose.answers.codecs import BOX_CODECS, format_boxes, parse_answer
from geoprose.answers.place import place_on_map
from geoprose.core.types import GeoRef

SIZE_PX = (800, 600)
GEOREF = GeoRef((10.0, 0.0, 500_000.0, 0.0, -10.0, 5_000_000.0), "EPSG:32631", *SIZE_PX)


def main(text: str, codec: str) -> None:
    """Print the boxes in pixels, in each format, and as GeoJSON."""
    answer = parse_answer(text, codec, SIZE_PX)
    print(f"status {answer.status}; problems {list(answer.problems)}")
    for box in answer.boxes:
        print(
            f"{box.label or 'box'}: {box.x_min:g} {box.y_min:g} {box.x_max:g} {box.y_max:g} px, {box.angle_deg:g} deg"
        )
    for name in BOX_CODECS.names():
        # "hull": formats without an angle get the box around the rotated one.
        print(f"{name:>24}  {format_boxes(answer.boxes, name, SIZE_PX, rotated='hull')}")
    print(json.dumps(place_on_map(answer, GEOREF)["features"][0]["geometry"]))


if __name__ == "__main__":
    main(*sys.argv[1:3])
