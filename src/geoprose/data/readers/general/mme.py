"""MME as its authors give it out: one folder per category, a text file of two questions beside each picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.data.readers.base import check_split, fail_missing
from geoprose.data.readers.files import first_present, join, read_list
from geoprose.data.readers.general.published import COGNITION, PERCEPTION, ask_mme
from geoprose.data.readers.picture import Picture
from geoprose.data.readers.pictures import PictureFinder
from geoprose.data.records import fail

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from geoprose.core.types import Sample

TOP = ("MME_Benchmark_release_version", ".")


class MmeReader:
    """Reads ``<category>/<picture>`` and ``<category>/<picture>.txt``, or ``images/`` and ``questions_answers_YN/``.

    A line of a text file is a question, a tabulator, Yes or No.

    Source: Fu et al., "MME: A Comprehensive Evaluation Benchmark for Multimodal Large Language Models",
    arXiv:2306.13394; BradyFU/Awesome-Multimodal-Large-Language-Models, branch Evaluation.
    """

    layout = (
        "MME_Benchmark_release_version/ (asked for at https://github.com/BradyFU/Awesome-Multimodal-Large-Language-Models"
        "/tree/Evaluation) with a folder per category, e.g. existence/000000006040.jpg and existence/000000006040.txt, "
        "or artwork/images/ and artwork/questions_answers_YN/."
    )
    splits = ("test",)

    def read(self, root: Path, split: str) -> Iterator[Sample]:
        """Yield the questions category by category, in the order of the file names."""
        check_split(split, self.splits, self.layout)
        top = first_present(root, TOP, self.layout)
        found = [name for name in (*PERCEPTION, *COGNITION) if (root / top / name).is_dir()]
        if not found:
            fail_missing(root, f"any folder of {', '.join((*PERCEPTION, *COGNITION))}", self.layout)
        for category in found:
            yield from self._category(root, join(top, category), category, split)

    def _category(self, root: Path, folder: str, category: str, split: str) -> Iterator[Sample]:
        is_apart = (root / folder / "questions_answers_YN").is_dir()
        texts = join(folder, "questions_answers_YN") if is_apart else folder
        finder = PictureFinder(root, join(folder, "images") if is_apart else folder, self.layout)
        paths = sorted(path.name for path in (root / texts).glob("*.txt"))
        if not paths:
            fail_missing(root, f"text files in {texts}", self.layout)
        for name in paths:
            stem = name.removesuffix(".txt")
            picture = Picture(f"{category}/{stem}", (finder.find(stem),), split, {"domain": "MME"})
            for number, line in enumerate(read_list(root, join(texts, name), self.layout)):
                where = f"{join(texts, name)}, line {number + 1}"
                question, tab, answer = line.rpartition("\t")
                if not tab:
                    fail(where, "has no tabulator between question and answer")
                yield ask_mme(
                    picture, {"category": category, "question": question, "answer": answer}, where, str(number)
                )
