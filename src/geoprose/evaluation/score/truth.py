"""Right answers that lie outside the predictions file: a question file, or a data set read by its reader."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import TaskError
from geoprose.data.readers.registry import build_reader
from geoprose.data.records import sample_from_dict
from geoprose.evaluation.answering.expand import expanded
from geoprose.evaluation.layouts.base import PredictionRow, Record
from geoprose.evaluation.layouts.fields import boxes_px, first_of, nested, text, texts
from geoprose.evaluation.layouts.files import FileNotes, read_records
from geoprose.evaluation.layouts.plain import meta_of
from geoprose.evaluation.predictions import question_of, references_of

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.core.types import Sample
    from geoprose.evaluation.tasks import TaskSpec

_ID = ("question_id", "questionId", "id", "sample_id", "index", "image_id", "filename")
_REFERENCE = (
    "references",
    "reference",
    "ground_truth",
    "gt_answer",
    "answers",
    "answer",
    "label",
    "annotation",
    "target",
)


@dataclass(frozen=True)
class Truth:
    """Right answers by identifier.

    Attributes:
        rows: One row per identifier, with an empty prediction.
        where: Name of the file or folder, for messages.
    """

    rows: dict[str, PredictionRow]
    where: str

    def complete(self, row: PredictionRow) -> PredictionRow | None:
        """Return the row with references, type, picture and meta of the truth; None when it knows no such row."""
        known = self.rows.get(row.id)
        if known is None:
            return None
        meta = {**row.meta, **known.meta} if row.meta else known.meta
        return replace(known, prediction=row.prediction, scores=row.scores, image=known.image or row.image, meta=meta)


def truth_from_file(path: Path) -> Truth:
    """Read a question file: neutral samples, LLaVA questions or conversations, COCO or Karpathy captions, plain tables.

    Raises:
        TaskError: If the file cannot be read, an identifier is missing or repeated, or no answer is found.
    """
    rows: dict[str, PredictionRow] = {}
    for number, record in read_records(path, FileNotes()):
        where = f"{path.name} record {number}"
        row = _row(record, where)
        before = rows.get(row.id)
        if before is not None and "caption" not in record:
            raise TaskError(f"{where} repeats the identifier {row.id!r}; references need one record for each.")
        rows[row.id] = row if before is None else replace(before, references=before.references + row.references)
    return Truth(rows, path.name)


def truth_from_data(task: TaskSpec, data_dir: Path) -> Truth:
    """Read the right answers of a task's data set with its reader.

    Raises:
        DataError: If the data set is incomplete.
        TaskError: If two samples share an identifier.
    """
    rows: dict[str, PredictionRow] = {}
    for sample in build_reader(task.reader.type, task.reader.options).read(data_dir, task.split):
        for question in expanded(task, [sample]):
            if question.id in rows:
                raise TaskError(f"{data_dir} has two samples {question.id!r}; predictions cannot be matched to them.")
            rows[question.id] = _row_of_sample(question)
    return Truth(rows, data_dir.name)


def _row_of_sample(sample: Sample) -> PredictionRow:
    meta = dict(sample.meta)
    georef = sample.georefs[0] if sample.georefs else None
    if georef is not None:
        meta["size_px"] = [georef.width_px, georef.height_px]
    image = sample.images[0] if sample.images else ""
    return PredictionRow(sample.id, "", references_of(sample), sample.task, image, question_of(sample), meta)


def _row(record: Record, where: str) -> PredictionRow:
    if "messages" in record and "images" in record:
        return _row_of_sample(sample_from_dict(record, where))
    # A COCO caption has an identifier of its own beside that of its picture, which is what a prediction names.
    identifier = text(record.get("image_id")) if "caption" in record else text(first_of(record, *_ID))
    if not identifier:
        raise TaskError(f"{where} has none of the keys {', '.join(_ID)}, so no prediction can be matched to it.")
    meta = meta_of(record)
    references, boxes = _references(record)
    if boxes and "boxes" not in meta:
        meta["boxes"] = boxes
    if not references and "boxes" not in meta:
        raise TaskError(f"{where} ({identifier}) holds no right answer under {', '.join(_REFERENCE)}.")
    return PredictionRow(
        id=identifier,
        prediction="",
        references=references,
        type=text(first_of(record, "type", "question_type", "vqa_type", "task")),
        image=text(first_of(record, "image", "image_id", "filename")),
        prompt=text(first_of(record, "question", "prompt", "text")),
        meta=meta,
    )


def _references(record: Record) -> tuple[tuple[str, ...], list[list[float]] | None]:
    if isinstance(record.get("conversations"), list):
        return tuple(text(turn.get("value")) for turn in record["conversations"] if turn.get("from") == "gpt")[:1], None
    if isinstance(record.get("sentences"), list):
        return tuple(text(sentence.get("raw")).strip() for sentence in record["sentences"]), None
    if "caption" in record:
        return texts(record["caption"]), None
    value: Any = nested(first_of(record, *_REFERENCE))
    boxes = boxes_px(value)
    if boxes:
        return (), boxes
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return tuple(text(one.get("answer")) for one in value), None
    return texts(value), None
