"""Sampled answers on disk, written question by question, so that a run that was killed goes on."""

from __future__ import annotations

import hashlib
import json
import logging
import zlib
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import DataError
from geoprose.data.neutral import iter_lines
from geoprose.data.records import load_json, mapping
from geoprose.inference.sample import Sampling, sample_answers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from geoprose.inference.generate import Request
    from geoprose.systems.build import System

logger = logging.getLogger(__name__)


class SampledAnswers:
    """The file of sampled answers: a line with the plan, then a line a question.

    Args:
        path: The file.
        plan: All that the answers depend on; a file of another plan is refused.

    Raises:
        DataError: If the file holds answers of another plan, or is damaged before its last line.
    """

    def __init__(self, path: Path, plan: Mapping[str, Any]) -> None:
        self.path = path
        self._plan = dict(plan)
        self.answers: dict[str, list[str]] = {}
        if path.is_file():
            self._read()

    def fill(
        self,
        system: System[Any],
        requests: Mapping[str, Request],
        sampling: Sampling,
        seed: int,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Answer the questions that are not answered yet.

        Args:
            system: Who is asked.
            requests: Question by id.
            sampling: How answers are drawn.
            seed: With the id, the seed of a question's answers: they do not depend on the other questions.
            on_progress: Called with (answered, total).
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._rewrite()
        with self.path.open("a", encoding="utf-8") as handle:
            for name, request in requests.items():
                if name in self.answers:
                    continue
                own_seed = zlib.crc32(f"{seed}:{name}".encode())
                self.answers[name] = sample_answers(system, request, sampling, own_seed)
                handle.write(json.dumps({"id": name, "answers": self.answers[name]}, ensure_ascii=False) + "\n")
                handle.flush()
                if on_progress is not None:
                    on_progress(len(self.answers), len(requests))

    def sha256(self) -> str:
        """Return the hash of the file."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    def _rewrite(self) -> None:
        """Write what was read, without a last line that a killed run left half-written."""
        from geoprose.core.files import write_jsonl

        rows: Sequence[dict[str, Any]] = [{"id": name, "answers": texts} for name, texts in self.answers.items()]
        write_jsonl(self.path, [{"plan": self._plan}, *rows])

    def _read(self) -> None:
        lines = [(where, line) for where, line in iter_lines(self.path) if line.strip()]
        for number, (where, line) in enumerate(lines):
            try:
                record = mapping(load_json(line, where), where, "the line")
            except DataError:
                if number and number == len(lines) - 1:
                    logger.info("the last line of %s was half-written; its question is answered again", self.path.name)
                    return
                raise
            if number == 0:
                self._check_plan(record.get("plan"))
            else:
                self.answers[str(record["id"])] = [str(text) for text in record["answers"]]  # type: ignore[union-attr]

    def _check_plan(self, before: Any) -> None:
        plan = json.loads(json.dumps(self._plan))
        if before != plan:
            known = before if isinstance(before, dict) else {}
            changed = sorted(key for key in {*known, *plan} if known.get(key) != plan.get(key))
            raise DataError(
                f"{self.path} holds answers of another run ({', '.join(changed)} differ). Give another --out, or "
                "delete the file to sample anew."
            )
