"""Conversations of several turns in LLaVA's format, to be asked turn by turn."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from geoprose.core.errors import ConfigError
from geoprose.data.llava import read_llava
from geoprose.data.readers.base import check_split, fail_missing
from geoprose.data.readers.files import inside, join
from geoprose.data.records import fail

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from geoprose.core.types import Sample

logger = logging.getLogger(__name__)


class ConversationsReader:
    """Reads LLaVA/GeoChat files; a task with ``is_multi_turn`` asks each turn behind the system's own answers.

    Args:
        files: File name by split.
        images: Folder of the pictures.
        kind: Question type of entries that name none.

    Source: haotian-liu/LLaVA docs/Finetune_Custom_Data.md.
    """

    def __init__(
        self, *, files: Mapping[str, str] | None = None, images: str = ".", kind: str = "conversation"
    ) -> None:
        self.files = dict(files or {split: f"{split}.json" for split in ("train", "val", "test")})
        if not all(isinstance(name, str) and name for name in self.files.values()):
            raise ConfigError(f"files is {files!r}; give a file name for each split.")
        self.images, self.kind = images, kind
        self.splits = tuple(self.files)
        self.layout = (
            f"{', '.join(self.files.values())}: a list of entries with id, image and conversations (LLaVA), and the "
            f"pictures below {images}/."
        )

    def read(self, root: Path, split: str) -> Iterator[Sample]:
        """Yield the conversations in the order of the file; an id that was there before gets ``#2`` and so on."""
        check_split(split, self.splits, self.layout)
        name = inside(self.files[split], "the reader's option files")
        if not (root / name).is_file():
            fail_missing(root, name, self.layout)
        seen: Counter[str] = Counter()
        for sample in read_llava(root / name):
            where = f"{name}, entry {sample.id}"
            if not any(message.role == "assistant" for message in sample.messages):
                fail(where, "has no answer of the assistant, so there is nothing to score against")
            seen[sample.id] += 1
            own = sample.id if seen[sample.id] == 1 else f"{sample.id}#{seen[sample.id]}"
            images = tuple(join(self.images, inside(image, where, "image")) for image in sample.images)
            yield replace(sample, id=own, images=images, task=sample.task or self.kind, split=split)
        if repeated := sum(count - 1 for count in seen.values()):
            logger.warning("%d entries of %s repeat an id; the later ones are called ID#2 and so on", repeated, name)
