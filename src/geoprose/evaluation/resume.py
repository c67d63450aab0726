"""What an interrupted evaluation has answered so far, and whether it may be gone on with.

Answers are appended to ``partial/SOURCE-I-of-N.jsonl`` piece by piece, each piece on the disk before the next one
begins. ``partial/plan.json`` says what was asked: a run with another plan is refused. When every question has an answer
the files are put together in the order of the samples and moved to their place, so that a run that was killed and gone
on with leaves the same bytes as one that was not.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from geoprose.core.errors import TaskError
from geoprose.core.files import write_json
from geoprose.evaluation.locking import refuse_while_held
from geoprose.evaluation.predictions import (
    Prediction,
    prediction_from,
    prediction_to_row,
    predictions_path,
    write_predictions,
)
from geoprose.evaluation.tasks import BaselineName

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from geoprose.core.types import Sample

PARTIAL_DIR = "partial"
PLAN_NAME = "plan.json"
RUN_NAME = "run.json"
OUTCOMES = ("result.json", "report.html", "judgements.jsonl")
"""Written from the predictions; removed when new answers are given."""
PREVIOUS = "previous"


@dataclass(frozen=True)
class Shard:
    """A part of the work: every ``count``-th piece.

    Attributes:
        index: Which part, from 1.
        count: How many parts there are.
    """

    index: int = 1
    count: int = 1

    @property
    def label(self) -> str:
        """``2-of-4``."""
        return f"{self.index}-of-{self.count}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``2/4``.

        Raises:
            TaskError: If it is not of that form.
        """
        found = re.fullmatch(r"(\d+)/(\d+)", text.strip())
        index, count = (int(number) for number in found.groups()) if found else (0, 0)
        if not 1 <= index <= count:
            raise TaskError(f"--shard is {text!r}; give I/N with I from 1 to N, such as 2/4.")
        return cls(index, count)


WHOLE = Shard()
"""All of the work."""


class Workplace:
    """The folder of one run, as seen by one shard.

    Args:
        out_dir: The run's folder.
        shard: Which part of the work is done here.
    """

    def __init__(self, out_dir: Path, shard: Shard) -> None:
        self.out_dir = out_dir
        self.shard = shard
        self._partial = out_dir / PARTIAL_DIR

    @classmethod
    def of_shards(cls, out_dir: Path) -> Workplace | None:
        """Return the folder of an unfinished run as its plan says; None where there is none."""
        path = out_dir / PARTIAL_DIR / PLAN_NAME
        if not path.is_file():
            return None
        return cls(out_dir, Shard(1, int(_read_json(path)["shards"])))

    def begin(self, plan: dict[str, Any], is_resume: bool) -> None:
        """Make the folder ready for a plan.

        Args:
            plan: What is asked, as JSON values.
            is_resume: Keep what is answered already; else clear the folder of an earlier run.

        Raises:
            TaskError: If the folder holds answers to another plan, or another process works in it.
        """
        known = self._known_plan()
        if is_resume and known is not None:
            if differences := plan_differences(known, plan):
                raise TaskError(
                    f"{self.out_dir} holds a run that differs: {'; '.join(differences)}. Its answers cannot be gone on "
                    "with: choose another --out, or --no-resume to start anew."
                )
        elif is_resume and any(path.is_file() for path in self._answers()):
            raise TaskError(
                f"{self.out_dir} holds predictions but no record of what was asked, so they cannot be gone on with. "
                "Choose another --out, or --no-resume to start anew."
            )
        elif not is_resume:
            self.clear()
        self._partial.mkdir(parents=True, exist_ok=True)
        write_json(self._partial / PLAN_NAME, plan)
        state = self.state()
        self.remember(state | {"sessions": state["sessions"] + 1})
        for name in OUTCOMES:  # an interrupted run must not leave old scores beside new answers
            (self.out_dir / name).unlink(missing_ok=True)

    def is_whole(self, sources: Sequence[str]) -> bool:
        """Tell whether a finished run lies in the folder, with the answers of every source."""
        return (self.out_dir / RUN_NAME).is_file() and all(self.is_done(source) for source in sources)

    def is_done(self, source: str) -> bool:
        """Tell whether every question has its answer from ``source``."""
        return predictions_path(self.out_dir, source).is_file()

    def answered(self, source: str) -> dict[str, Prediction]:
        """Return what this shard has answered, by id; a line that was cut off by a kill is dropped from the file."""
        path = self._path(source, self.shard)
        if not path.is_file():
            return {}
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(path, len(whole))
        return {row.id: row for row in _rows(whole, path)}

    def append(self, source: str, rows: Sequence[Prediction]) -> None:
        """Add the answers of one piece and wait until they are on the disk."""
        text = "".join(json.dumps(prediction_to_row(row), allow_nan=False, ensure_ascii=False) + "\n" for row in rows)
        with self._path(source, self.shard).open("ab") as handle:
            handle.write(text.encode())
            handle.flush()
            os.fsync(handle.fileno())

    def keep_only(self, source: str, rows: Sequence[Prediction]) -> None:
        """Write this shard's answers anew, without those of a piece that was cut off."""
        write_predictions(self._path(source, self.shard), rows)

    def write_record(self, record: dict[str, Any]) -> None:
        """Say that this shard has answered everything, and how."""
        write_json(self._record_path(self.shard.index), record)

    def records(self) -> dict[int, dict[str, Any]]:
        """Return the records of the shards that have answered everything."""
        places = range(1, self.shard.count + 1)
        paths = {place: self._record_path(place) for place in places}
        return {place: _read_json(path) for place, path in paths.items() if path.is_file()}

    def finish(self, source: str, samples: Sequence[Sample]) -> None:
        """Put the answers of all shards together, in the order of the samples, and move them into place.

        Raises:
            TaskError: If an answer is missing.
        """
        found: dict[str, Prediction] = {}
        for place in range(1, self.shard.count + 1):
            path = self._path(source, Shard(place, self.shard.count))
            found |= {row.id: row for row in (_rows(path.read_bytes(), path) if path.is_file() else ())}
        missing = [sample.id for sample in samples if sample.id not in found]
        if missing:
            raise TaskError(
                f"{self._partial} lacks {len(missing)} answers of {source} (first: {missing[0]}). Run the shards "
                "again; they go on where they stopped."
            )
        write_predictions(predictions_path(self.out_dir, source), [found[sample.id] for sample in samples])

    def is_merged(self) -> bool:
        """Tell whether the shards have been put together already."""
        return (self.out_dir / RUN_NAME).is_file() and not self._partial.is_dir()

    def close(self) -> None:
        """Remove what was only needed to go on."""
        shutil.rmtree(self._partial, ignore_errors=True)

    def state(self) -> dict[str, Any]:
        """Return what this shard remembers between processes: ``seconds`` per source, ``sessions``."""
        own, finished = self._state_path(), self.out_dir / RUN_NAME
        if own.is_file():
            return _read_json(own)
        run = _read_json(finished) if finished.is_file() and self.shard.index == 1 else {}
        return {"seconds": dict(run.get("seconds", {})), "sessions": int(run.get("sessions", 0))}

    def remember(self, state: dict[str, Any]) -> None:
        """Write the state."""
        write_json(self._state_path(), state)

    def _known_plan(self) -> dict[str, Any] | None:
        """Return the plan of the run in the folder, finished or not."""
        unfinished, finished = self._partial / PLAN_NAME, self.out_dir / RUN_NAME
        if unfinished.is_file():
            return _read_json(unfinished)
        return _read_json(finished).get("plan") if finished.is_file() else None

    def clear(self) -> None:
        """Remove the answers of an earlier run, finished or not.

        Raises:
            TaskError: If another process works in the folder.
        """
        refuse_while_held(self.out_dir, self.shard)
        for path in [*self._answers(), self.out_dir / RUN_NAME]:
            path.unlink(missing_ok=True)
        self.close()

    def _answers(self) -> list[Path]:
        sources = ("system", *get_args(BaselineName), PREVIOUS)
        return [predictions_path(self.out_dir, source) for source in sources]

    def _path(self, source: str, shard: Shard) -> Path:
        return self._partial / f"{source}-{shard.label}.jsonl"

    def _record_path(self, place: int) -> Path:
        return self._partial / f"record-{Shard(place, self.shard.count).label}.json"

    def _state_path(self) -> Path:
        return self._partial / f"state-{self.shard.label}.json"


def plan_differences(known: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Say in which keys two plans differ; ``blind`` counts only where both have one."""
    found = []
    for key in dict.fromkeys([*known, *wanted]):
        old, new = known.get(key), wanted.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            found += [f"{key}.{line}" for line in plan_differences(old, new)]
        elif old != new and not (key == "blind" and None in (old, new)):
            found.append(f"{key} was {_short(old)}, is {_short(new)}")
    return found


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TaskError(f"{path} is no JSON ({error}). Start anew with --no-resume.") from error
    return values


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def _rows(content: bytes, path: Path) -> list[Prediction]:
    # Only "\n" ends a line: answers may hold other characters that str.splitlines takes for line ends.
    lines = content.decode("utf-8").split("\n")
    try:
        return [prediction_from(json.loads(line)) for line in lines if line]
    except (ValueError, KeyError, TypeError) as error:
        raise TaskError(f"{path} holds a line that is no prediction ({error}). Start anew with --no-resume.") from error
