"""Questions about very large pictures: LRS-VQA, and the remote-sensing part of MME-RealWorld."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoprose.data.readers.base import check_split, fail_missing
from geoprose.data.readers.choices import ask_choice, without_letters
from geoprose.data.readers.files import inside, join, read_entries, read_jsonl
from geoprose.data.readers.picture import Picture
from geoprose.data.records import fail, strings, text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from geoprose.core.types import Sample


class LrsVqaReader:
    """Reads LRS-VQA: 7,333 open questions of eight categories; each category is a question type.

    Source: Luo et al., "When Large Vision-Language Model Meets Large Remote Sensing Imagery", ICCV 2025;
    VisionXLab/LRS-VQA, Script/evaluation_LRSVQA.py.
    """

    layout = (
        "LRS-VQA from https://huggingface.co/datasets/ll-13/LRS-VQA: LRS_VQA_merged.jsonl and the pictures of its "
        "archive LRS_VQA.7z.001 to .013, unpacked to image/."
    )
    splits = ("test",)

    def read(self, root: Path, split: str) -> Iterator[Sample]:
        """Yield the questions in the order of the file."""
        check_split(split, self.splits, self.layout)
        for number, (where, row) in enumerate(read_jsonl(root, "LRS_VQA_merged.jsonl", self.layout)):
            image = inside(row.get("image"), where, "image").removeprefix("LRS_VQA/")
            path = image if (root / image).is_file() else join("image", image.rsplit("/", 1)[-1])
            question_id = str(row.get("question_id", number))
            picture = Picture(question_id, (path,), split, {"domain": f"LRS-VQA {question_id.split('_')[0]}"})
            answer = str(row.get("ground_truth", "")).strip() or fail(where, "has no ground_truth")
            category = text(row.get("category"), where, "category")
            yield picture.ask(category, text(row.get("text"), where, "text"), [answer], category=category)


class MmeRealWorldRsReader:
    """Reads the questions of MME-RealWorld whose subtask is Remote Sensing: five options, the last of them a way out.

    Source: Zhang et al., "MME-RealWorld", ICLR 2025, files of yfzhang114/MME-RealWorld.
    """

    layout = (
        "MME-RealWorld from https://huggingface.co/datasets/yifanzhang114/MME-RealWorld: MME_RealWorld.json and its "
        "pictures below the same folder (remote_sensing/...)."
    )
    splits = ("test",)

    def read(self, root: Path, split: str) -> Iterator[Sample]:
        """Yield the questions in the order of the file."""
        check_split(split, self.splits, self.layout)
        name = "MME_RealWorld.json"
        found = False
        for number, row in enumerate(read_entries(root, name, self.layout)):
            if row.get("Subtask") != "Remote Sensing":
                continue
            found = True
            yield _choice(row, f"{name}, entry {number}", split)
        if not found:
            fail_missing(root, f"any question of the subtask Remote Sensing in {name}", self.layout)


def _choice(row: dict[str, Any], where: str, split: str) -> Sample:
    options = without_letters(strings(row.get("Answer choices"), where, "Answer choices"))
    picture_path = inside(row.get("Image"), where, "Image")
    picture = Picture(str(row.get("Question_id")), (picture_path,), split, {"domain": "MME-RealWorld-RS"})
    letter = text(row.get("Ground truth"), where, "Ground truth")
    question = text(row.get("Text"), where, "Text")
    return ask_choice(picture, question, options, letter, where, category=str(row.get("Category", "")))
