"""What the user asks of `geoprose score`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.evaluation.tasks import TaskSpec

Keep = Literal["", "first", "last"]
"""Which of several different answers under one identifier counts; empty refuses such a file."""


@dataclass(frozen=True)
class ScoreRequest:
    """One file of predictions to be scored.

    Attributes:
        predictions: The file.
        task: Name of a task, path of a task's YAML, or the spec.
        layout: Layout of the file; told from it when empty.
        references: File with the right answers, by identifier; those of the predictions file when None.
        data: Folder of the task's data set, whose reader gives the right answers.
        images: Folder of the pictures, for sizes that no file says.
        variants: Variants to show beside the default; all when None.
        codec: Box format of the answers; the layout's when empty.
        keep: What to do with different answers under one identifier.
        size_px: Width and height of every picture, where no file says them.
        out: Folder to write the result to, and the single answers for reports and comparisons; nothing when None.
    """

    predictions: Path
    task: str | TaskSpec
    layout: str = ""
    references: Path | None = None
    data: Path | None = None
    images: Path | None = None
    variants: tuple[str, ...] | None = None
    codec: str = ""
    keep: Keep = ""
    size_px: tuple[int, int] | None = None
    out: Path | None = None
