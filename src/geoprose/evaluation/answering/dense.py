"""A dense system draws a mask, written as run lengths."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from geoprose.evaluation.answering.base import Reply, require_kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from geoprose.evaluation.answering.base import Examinee, Progress, Question
    from geoprose.systems.build import System

BATCH = 8


class DrawMask:
    """Give every pixel its likeliest class; the first class is the background.

    With two classes the answer is the mask of the second, ``{"size": [height, width], "counts": [...]}``; with more it
    is one mask per class, ``{"size": ..., "classes": {name: counts}}``. Counts are run lengths down the columns, the
    first one of the background, as COCO writes them uncompressed.
    """

    is_setwise = False

    def check(self, system: System[Any]) -> None:
        """Refuse all but dense systems."""
        instead = "Give a dense system such as changeclip or segclip, or the task that answers by 'generate'."
        require_kind(system, system.spec.kind == "dense", "dense", instead)

    def answer(
        self, examinee: Examinee, questions: Sequence[Question], on_progress: Progress | None = None
    ) -> list[Reply]:
        """Return the masks at the size of the first picture of each question."""
        from geoprose.inference.dense import class_maps

        replies: list[Reply] = []
        for start in range(0, len(questions), BATCH):
            part = questions[start : start + BATCH]
            maps = class_maps(examinee.system, [question.images for question in part])
            replies += [Reply(written(one, examinee.system.spec.prompts)) for one in maps]
            if on_progress is not None:
                on_progress(len(replies), len(questions))
        return replies


def written(classes_HW: NDArray[np.uint8], names: Sequence[str]) -> str:
    """Write a map of classes as run lengths."""
    size = [int(side) for side in classes_HW.shape]
    if len(names) <= 2:
        return json.dumps({"size": size, "counts": run_lengths(classes_HW > 0)})
    counts = {name: run_lengths(classes_HW == place) for place, name in enumerate(names)}
    return json.dumps({"size": size, "classes": counts})


def run_lengths(mask_HW: NDArray[np.bool_]) -> list[int]:
    """Return the lengths of the runs of equal pixels, column after column; the first run is of zeros, maybe empty.

    Source:
        COCO's uncompressed RLE (cocodataset/cocoapi, ``mask.py``).
    """
    import numpy as np

    flat = mask_HW.ravel(order="F").astype(np.int8)
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs: list[int] = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return [0, *runs] if flat.size and flat[0] else runs
