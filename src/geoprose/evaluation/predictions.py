"""Raw predictions on disk: written before anything is scored, read back for scoring and for ``--rescore``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import TaskError
from geoprose.core.files import sha256_file, write_jsonl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from geoprose.core.types import Sample

PREDICTIONS_NAME = "predictions.jsonl"
BASELINES_DIR = "baselines"


@dataclass(frozen=True)
class Prediction:
    """One answered sample, as written on one line.

    Attributes:
        id: Sample id.
        task: Question type.
        source: Who answered: ``"system"`` or the name of a baseline.
        images: Paths of the sample's pictures inside the data directory.
        image_hashes: SHA-256 of the picture files that were shown; not those of ``images`` when shuffled.
        prompt: The words that were shown, without image marks.
        prediction: Raw text.
        reference: The canonical right answer.
        seed: Seed of the shuffle or of the baseline's model; decoding is greedy and takes none.
        scores: What the system gave each option or label (log-likelihood or similarity), for ranked answers.
        shots: Ids of the solved examples that were shown before the question.
    """

    id: str
    task: str
    source: str
    images: tuple[str, ...]
    image_hashes: tuple[str, ...]
    prompt: str
    prediction: str
    reference: str
    seed: int
    scores: Mapping[str, float] = field(default_factory=dict)
    shots: tuple[str, ...] = ()


def question_of(sample: Sample) -> str:
    """Return the question of a sample without image marks."""
    text = next((message.text for message in sample.messages if message.role == "user"), "")
    return text.replace("<image>\n", "").replace("<image>", "").strip()


def references_of(sample: Sample) -> tuple[str, ...]:
    """Return every accepted answer of a sample, the canonical one first.

    An answer that ``meta.answers`` lists twice stays twice: caption metrics count every reference sentence.

    Raises:
        TaskError: If the sample has no answer.
    """
    spoken = [message.text.strip() for message in sample.messages if message.role == "assistant"]
    accepted = sample.meta.get("answers")
    listed = [str(answer) for answer in accepted] if isinstance(accepted, list) else []
    for first in spoken[:1]:
        if first in listed:
            listed.remove(first)
    answers = (*spoken[:1], *listed)
    if not answers:
        raise TaskError(
            f"Sample {sample.id} has no answer to score against. Give it an assistant turn or meta.answers."
        )
    return answers


class ImageHashes:
    """SHA-256 of the picture files of a data directory, each read once."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._known: dict[str, str] = {}

    def of(self, images: Iterable[str]) -> tuple[str, ...]:
        """Return one hash per path.

        Raises:
            TaskError: If a picture is missing.
        """
        return tuple(self._one(image) for image in images)

    def _one(self, image: str) -> str:
        if image not in self._known:
            path = self._data_dir / image
            if not path.is_file():
                raise TaskError(f"{self._data_dir} lacks the picture {image}. Check it with `geoprose data check`.")
            self._known[image] = sha256_file(path)
        return self._known[image]


def to_predictions(
    samples: Sequence[Sample],
    texts: Sequence[str],
    source: str,
    hashes: Sequence[tuple[str, ...]],
    seed: int = 0,
) -> list[Prediction]:
    """Join samples and answer texts into rows to write."""
    return [
        Prediction(
            id=sample.id,
            task=sample.task,
            source=source,
            images=sample.images,
            image_hashes=shown,
            prompt=question_of(sample),
            prediction=text,
            reference=references_of(sample)[0],
            seed=seed,
        )
        for sample, text, shown in zip(samples, texts, hashes, strict=True)
    ]


def predictions_path(out_dir: Path, source: str) -> Path:
    """Return where the predictions of ``source`` lie below ``out_dir``."""
    return out_dir / PREDICTIONS_NAME if source == "system" else out_dir / BASELINES_DIR / f"{source}.jsonl"


def write_predictions(path: Path, predictions: Iterable[Prediction]) -> None:
    """Write one line per prediction, atomically."""
    write_jsonl(path, (prediction_to_row(prediction) for prediction in predictions))


def prediction_to_row(prediction: Prediction) -> dict[str, Any]:
    """Return what is written of a prediction; ``scores`` and ``shots`` only where there are some."""
    row = asdict(prediction)
    return {key: value for key, value in row.items() if value or key not in ("scores", "shots")}


def prediction_from(row: Mapping[str, Any]) -> Prediction:
    """Read a prediction from what ``prediction_to_row`` wrote.

    Raises:
        KeyError: If a key is missing.
        TypeError: If a key is unknown.
    """
    lists = {name: tuple(str(item) for item in row[name]) for name in ("images", "image_hashes")}
    return Prediction(**{**row, **lists, "shots": tuple(str(item) for item in row.get("shots", ()))})


def read_predictions(path: Path) -> list[Prediction]:
    """Read predictions back.

    Raises:
        TaskError: If the file is missing or a line is not a prediction.
    """
    if not path.is_file():
        raise TaskError(
            f"{path} does not exist, so there is nothing to score. Run `geoprose evaluate` without --rescore."
        )
    rows = []
    # Only "\n" ends a line: answers may hold other characters that str.splitlines takes for line ends.
    for number, line in enumerate(path.read_text(encoding="utf-8").removesuffix("\n").split("\n"), start=1):
        try:
            rows.append(prediction_from(json.loads(line)))
        except (ValueError, KeyError, TypeError) as error:
            raise TaskError(f"{path.name} line {number} is not a prediction: {error}. Predict again.") from error
    return rows


def match_samples(predictions: Sequence[Prediction], samples: Sequence[Sample]) -> list[Prediction]:
    """Return the predictions in the order of ``samples``.

    Raises:
        TaskError: If they are not predictions of exactly these samples.
    """
    by_id = {prediction.id: prediction for prediction in predictions}
    missing = [sample.id for sample in samples if sample.id not in by_id]
    if missing or len(by_id) != len(samples):
        raise TaskError(
            f"The predictions cover {len(by_id)} samples and the task has {len(samples)}; {len(missing)} of them are "
            f"not answered (first: {missing[:3]}). They belong to other data or another --limit; predict again."
        )
    return [by_id[sample.id] for sample in samples]
