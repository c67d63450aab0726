"""Corners and hull of a possibly rotated box, in pixels."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geoprose.core.types import Box

Corners = tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]


def box_corners(box: Box) -> Corners:
    """Return the corners of a box in pixels.

    Returns:
        Top-left, top-right, bottom-right and bottom-left of the unrotated box, each turned about the centre.
    """
    if box.angle_deg == 0.0:  # exact: no centre arithmetic on an axis-aligned box
        return (box.x_min, box.y_min), (box.x_max, box.y_min), (box.x_max, box.y_max), (box.x_min, box.y_max)
    half_width, half_height = (box.x_max - box.x_min) / 2, (box.y_max - box.y_min) / 2
    centre_x, centre_y = (box.x_min + box.x_max) / 2, (box.y_min + box.y_max) / 2
    cosine, sine = math.cos(math.radians(box.angle_deg)), math.sin(math.radians(box.angle_deg))

    def turn(dx: float, dy: float) -> tuple[float, float]:
        # Counter-clockwise as seen on the picture, where y points down.
        return centre_x + dx * cosine + dy * sine, centre_y - dx * sine + dy * cosine

    return (
        turn(-half_width, -half_height),
        turn(half_width, -half_height),
        turn(half_width, half_height),
        turn(-half_width, half_height),
    )


def axis_aligned_hull(box: Box) -> Box:
    """Return the smallest axis-aligned box around ``box``; label, score and span are kept."""
    xs, ys = zip(*box_corners(box), strict=True)
    return replace(box, x_min=min(xs), y_min=min(ys), x_max=max(xs), y_max=max(ys), angle_deg=0.0)


def exchange_sides(box: Box) -> Box:
    """Return ``box`` with width and height exchanged about its centre; the angle is kept."""
    half_width, half_height = (box.x_max - box.x_min) / 2, (box.y_max - box.y_min) / 2
    centre_x, centre_y = (box.x_min + box.x_max) / 2, (box.y_min + box.y_max) / 2
    return replace(
        box,
        x_min=centre_x - half_height,
        y_min=centre_y - half_width,
        x_max=centre_x + half_height,
        y_max=centre_y + half_width,
    )
