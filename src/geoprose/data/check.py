"""Check a data set before anything is trained or scored on it."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from geoprose.answers.codecs import get_codec, guess_codec, read_boxes
from geoprose.core.errors import DataError, GeoreferenceError
from geoprose.data.card import CARD_NAME, read_card
from geoprose.data.faults import CheckReport, Findings
from geoprose.data.inspect_image import ImageFacts, inspect_image
from geoprose.data.leaks import Shown, find_leaks
from geoprose.data.llava import iter_llava
from geoprose.data.neutral import annotation_files, iter_samples
from geoprose.data.records import IMAGE_MARK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geoprose.core.types import GeoRef, Sample

_BOX_FAULTS = {"range": "box_out_of_scale", "angle": "angle_over_360", "order": "odd_box", "empty": "odd_box"}
_UNKNOWN_SIZE = (1000, 1000)


def check_dataset(path: Path, codec: str | None = None, max_examples: int = 5) -> CheckReport:
    """Check the records, images, boxes, georeferences and splits of a data set.

    Args:
        path: An annotation file (neutral ``.jsonl``, LLaVA/GeoChat ``.json`` or ``.jsonl``), or the folder of a data
            set. Images are looked for relative to the folder.
        codec: Box format of the answers. Without it: ``box_codec`` of the record's meta or of ``card.json``, else the
            format is taken from the text where its spelling leaves no doubt.
        max_examples: Findings kept per kind.

    Raises:
        DataError: If there is nothing to check.
        ConfigError: If the codec is unknown.
    """
    root = path if path.is_dir() else path.parent
    findings = Findings(max_examples)
    check = _Check(root, findings, _default_codec(root, codec), codec is not None)
    for file, split in _files(path).items():
        for where, sample in _samples(file, findings):
            check.add(sample, sample.split or split, where)
    check.finish()
    return CheckReport(str(path), check.num_samples, len(check.images), dict(check.splits), findings.faults())


def _default_codec(root: Path, codec: str | None) -> str | None:
    if codec is None and (root / CARD_NAME).is_file():
        declared = read_card(root / CARD_NAME).get("box_codec")
        codec = declared if isinstance(declared, str) else None
    if codec is not None:
        get_codec(codec)
    return codec


def _files(path: Path) -> dict[Path, str]:
    """Annotation files and the split their name says."""
    if not path.is_dir():
        return {file: split for split, file in annotation_files(path, path.suffix).items()}
    suffix = ".jsonl" if any(path.glob("*.jsonl")) else ".json"
    files = {file: split for split, file in annotation_files(path, suffix).items() if file.name != CARD_NAME}
    if not files:
        raise DataError(f"{path} holds no annotation file (*.jsonl or *.json). Give the folder of a data set.")
    return files


def _samples(file: Path, findings: Findings) -> Iterator[tuple[str, Sample]]:
    def broken(number: int, error: DataError) -> None:
        findings.add("bad_record", str(error))

    is_llava = file.suffix != ".jsonl" or _is_llava_lines(file)
    samples = (iter_llava if is_llava else iter_samples)(file, on_error=broken)
    for sample in samples:
        yield f"{file.name}, id {sample.id}", sample


def _is_llava_lines(file: Path) -> bool:
    with file.open("rb") as handle:
        return b'"conversations"' in handle.readline(1_000_000)


@dataclass
class _Check:
    """The state of one check: what must be compared across records."""

    root: Path
    findings: Findings
    codec: str | None
    is_codec_forced: bool
    num_samples: int = 0
    splits: Counter[str] = field(default_factory=Counter)
    images: dict[str, ImageFacts | None] = field(default_factory=dict)
    _ids: dict[tuple[str, str], str] = field(default_factory=dict)
    _answers: dict[tuple[tuple[str, ...], str], tuple[str, str]] = field(default_factory=dict)
    _shown: dict[tuple[str, str], Shown] = field(default_factory=dict)
    _crs_errors: dict[str, str] = field(default_factory=dict)

    def add(self, sample: Sample, split: str, where: str) -> None:
        """Check one record alone and remember what must be compared."""
        self.num_samples += 1
        self.splits[split] += 1
        if (split, sample.id) in self._ids:
            self.findings.add("duplicate_id", f"{where} and {self._ids[split, sample.id]}")
        self._ids[split, sample.id] = where
        for image in sample.images:
            if image not in self.images:
                self.images[image] = self._inspect(image, where)
        self._check_georefs(sample, where)
        self._check_turns(sample, where)
        self._check_boxes(sample, where)
        for place, image in enumerate(sample.images):
            facts = self.images[image]
            georef = sample.georefs[place] if sample.georefs else None
            self._shown.setdefault((image, split), Shown(image, split, where, georef, facts.digest if facts else ""))

    def finish(self) -> None:
        """Compare the records with each other."""
        find_leaks(self._shown.values(), self.findings)

    def _inspect(self, image: str, where: str) -> ImageFacts | None:
        relative = PurePosixPath(image.replace("\\", "/"))
        if not image or relative.is_absolute() or ":" in relative.parts[0] or ".." in relative.parts:
            self.findings.add("image_outside", f"{where}: {image!r}")
            return None
        path = self.root / image
        if not os.path.isfile(path):
            self.findings.add("missing_image", f"{where}: {image}")
            return None
        try:
            return inspect_image(path)
        except ValueError as error:
            self.findings.add("unreadable_image", f"{where}: {image}: {error}")
            return None

    def _check_georefs(self, sample: Sample, where: str) -> None:
        for image, georef in zip(sample.images, sample.georefs, strict=False):
            if georef is None:
                continue
            place = f"{where}: {image}"
            facts = self.images[image]
            if georef.crs is None:
                self.findings.add("georef_without_crs", place)
            elif error := self._crs_error(georef.crs):
                self.findings.add("georef_bad_crs", f"{place}: {error}")
            if facts and (facts.width_px, facts.height_px) != (georef.width_px, georef.height_px):
                self.findings.add(
                    "georef_size",
                    f"{place}: {facts.width_px} x {facts.height_px} px, "
                    f"georeference for {georef.width_px} x {georef.height_px} px",
                )

    def _crs_error(self, crs: str) -> str:
        if crs not in self._crs_errors:
            from geoprose.geo.crs import parse_crs

            try:
                parse_crs(crs)
                self._crs_errors[crs] = ""
            except GeoreferenceError as error:
                self._crs_errors[crs] = str(error)
        return self._crs_errors[crs]

    def _check_turns(self, sample: Sample, where: str) -> None:
        marks = sum(message.text.count(IMAGE_MARK) for message in sample.messages)
        if marks != len(sample.images):
            self.findings.add("image_count", f"{where}: {marks} {IMAGE_MARK} marks, {len(sample.images)} images")
        if not any(message.role == "assistant" for message in sample.messages):
            self.findings.add("empty_answer", f"{where}: no assistant turn")
        question = ""
        for message in sample.messages:
            if message.role == "user":
                question = " ".join(message.text.replace(IMAGE_MARK, " ").split())
                if not question:
                    self.findings.add("empty_question", where)
            elif message.role == "assistant":
                if not message.text.strip():
                    self.findings.add("empty_answer", where)
                self._compare_answer(sample, question, message.text.strip(), where)

    def _compare_answer(self, sample: Sample, question: str, answer: str, where: str) -> None:
        first = self._answers.get((sample.images, question))
        if first is None:
            self._answers[sample.images, question] = answer, where
            return
        kind = "duplicate_question" if first[0] == answer else "conflicting_answers"
        self.findings.add(kind, f"{where} and {first[1]}: {question[:80]!r}")

    def _check_boxes(self, sample: Sample, where: str) -> None:
        declared = sample.meta.get("box_codec")
        codec = self.codec if self.is_codec_forced or not isinstance(declared, str) else declared
        size = self._size(sample)
        for message in sample.messages:
            guessed = guess_codec(message.text)
            # Questions are prose: only what is surely a box is read there.
            chosen = (codec or guessed) if message.role == "assistant" else guessed
            if chosen is None:
                continue
            for problem in read_boxes(message.text, chosen, size)[1]:
                kind = _BOX_FAULTS.get(problem.kind, "unreadable_box")
                self.findings.add(kind, f"{where}: {problem.message}")

    def _size(self, sample: Sample) -> tuple[int, int]:
        georef: GeoRef | None = next(iter(sample.georefs), None)
        facts = self.images[sample.images[0]] if sample.images else None
        if facts is not None:
            return facts.width_px, facts.height_px
        return (georef.width_px, georef.height_px) if georef is not None else _UNKNOWN_SIZE
