"""Systems trained on one domain, tested on every one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from geoprose.core.errors import ConfigError, TaskError
from geoprose.core.spec import Spec
from geoprose.evaluation.diagnostics.base import Diagnostic, Finding
from geoprose.evaluation.diagnostics.resampling import Resamples, interval, mean_of, plain
from geoprose.evaluation.outcomes import read_outcomes
from geoprose.evaluation.run import evaluate
from geoprose.evaluation.run_options import EvaluateOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from geoprose.core.types import JsonValue
    from geoprose.evaluation.diagnostics.base import Request
    from geoprose.evaluation.outcomes import Outcome

OWN = " (own domain)"


class Domain(Spec):
    """One test set."""

    task: str
    """Name of a task, or path of a task's YAML."""
    data: str
    """Folder of its data set."""


@dataclass(frozen=True)
class _Cell:
    """Scores of one system on one test set.

    Attributes:
        outcomes: Judgements by sample.
        result: ``result.json``.
    """

    outcomes: Mapping[str, Outcome]
    result: Mapping[str, Any]


class CrossDomain(Diagnostic):
    """A matrix of train domain by test domain."""

    title: ClassVar[str] = "Across domains"
    description: ClassVar[str] = (
        "One row for each domain that a system was trained on, one column for each that it is tested on; the diagonal "
        "is marked. Systems stand under the name of the domain that they were trained on. The relative drop of a cell "
        "is what is lost against the system trained on the test's own domain, on the same questions. The headline is "
        "its mean over the cells off the diagonal."
    )

    systems: dict[str, str] = Field(default_factory=dict)
    """Folder or preset of each system, by the domain that it was trained on."""
    domains: dict[str, Domain] = Field(default_factory=dict)
    """Test set of each domain."""
    runs: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Folders of finished runs, by train domain and test domain; they are read instead of asking again."""

    def run(self, request: Request) -> Finding:
        """Evaluate every system on every domain, or read what is finished."""
        trains = list(dict.fromkeys([*self.runs, *self.systems]))
        tests = list(dict.fromkeys([*(test for row in self.runs.values() for test in row), *self.domains]))
        if not trains or not tests:
            raise ConfigError(
                "A matrix needs systems and domains. Give --systems NAME=DIR ... and --domains NAME=TASK:DATA ..., or "
                "finished runs in a YAML file: runs: {train domain: {test domain: folder}}."
            )
        cells: dict[tuple[str, str], _Cell] = {}
        unavailable: dict[str, str] = {}
        for train in trains:
            loaded = self._loaded(train, tests)
            for test in tests:
                try:
                    cells[train, test] = self._cell(request, (train, test), loaded)
                except (TaskError, ConfigError) as error:
                    unavailable[f"{train} on {test}"] = str(error)
        if not cells:
            raise TaskError(f"No cell of the matrix could be filled: {'; '.join(unavailable.values())}")
        return self._finding(trains, tests, cells, unavailable)

    def _loaded(self, train: str, tests: list[str]) -> Any:
        from geoprose.evaluation.run_record import load_for_evaluation

        if train not in self.systems or all(test in self.runs.get(train, {}) for test in tests):
            return None
        return load_for_evaluation(self.systems[train])

    def _cell(self, request: Request, at: tuple[str, str], loaded: Any) -> _Cell:
        train, test = at
        finished = self.runs.get(train, {}).get(test)
        if finished is not None:
            folder = Path(finished)
            return _Cell(read_outcomes(folder), _result_of(folder))
        if loaded is None or test not in self.domains:
            raise TaskError(f"there is neither a finished run nor {'a system' if loaded is None else 'a test set'}")
        folder = request.out_dir / train / test
        options = EvaluateOptions(limit=request.limit, batch_size=request.batch_size, on_progress=request.on_progress)
        domain = self.domains[test]
        result = evaluate(loaded, domain.task, Path(domain.data), folder, options)
        return _Cell(read_outcomes(folder), result)

    def _finding(
        self,
        trains: list[str],
        tests: list[str],
        cells: dict[tuple[str, str], _Cell],
        unavailable: dict[str, str],
    ) -> Finding:
        rows: list[dict[str, JsonValue]] = []
        drops: list[float] = []
        drops_R: list[NDArray[np.float64]] = []
        warnings: list[str] = []
        for test in tests:
            column = {train: cells[train, test] for train in trains if (train, test) in cells}
            found, own_drops, notes = _column(test, column, self.seed)
            rows += found
            warnings += notes
            drops += [drop for drop, _ in own_drops]
            drops_R += [values for _, values in own_drops]
        shown = _matrix(trains, tests, rows)
        first = next(iter(cells.values())).result
        ends = interval(np.stack(drops_R).mean(0)) if drops_R else ()
        if not drops:
            unavailable = {**unavailable, "relative drop": "no column has both its own domain's system and another one"}
        return Finding(
            f"mean relative drop of {first['overall']['metric']} off the diagonal",
            float(np.mean(drops)) if drops else None,
            sum(int(str(row["n"])) for row in rows),
            ends if ends and np.isfinite(ends).all() else (),
            True,
            {"matrix": dict(shown), "cells": list(rows)},
            unavailable,
            tuple(warnings),
            {"system": {"name": ", ".join(trains)}, "task": "cross-domain"},
        )


def _column(
    test: str, column: Mapping[str, _Cell], seed: int
) -> tuple[list[dict[str, JsonValue]], list[tuple[float, NDArray[np.float64]]], list[str]]:
    """Return the rows of a test domain, the relative drops off the diagonal, and what is odd about them."""
    ids = list(dict.fromkeys(name for cell in column.values() for name in cell.outcomes))
    counted = {name for cell in column.values() for name in cell.result.get("overall_types") or ()}
    anyone = {name: cell.outcomes[name] for cell in reversed(list(column.values())) for name in cell.outcomes}
    ids = [name for name in ids if not counted or anyone[name].task in counted]
    draws = Resamples([anyone[name].cluster for name in ids], seed)
    scores = {
        train: np.array([cell.outcomes[name].score if name in cell.outcomes else np.nan for name in ids])
        for train, cell in column.items()
    }
    rows: list[dict[str, JsonValue]] = []
    drops = []
    for train, scores_Q in scores.items():
        low, high = interval(draws.means(scores_Q)[0])
        row: dict[str, JsonValue] = {"train": train, "test": test, "is_own_domain": train == test}
        row |= {"n": int((~np.isnan(scores_Q)).sum()), "score": plain(mean_of(scores_Q))}
        row |= {"low": plain(low), "high": plain(high)}
        if test in scores and train != test:
            drop, drop_R = _relative_drop(scores_Q, scores[test], draws)
            ends = interval(drop_R)
            row |= {"relative_drop": plain(drop), "drop_low": plain(ends[0]), "drop_high": plain(ends[1])}
            drops += [(drop, drop_R)] if np.isfinite(drop) else []
        rows.append(row)
    hashes = {str(cell.result.get("image_list_sha256")) for cell in column.values()}
    notes = [f"The systems were asked about different pictures of {test}."] if len(hashes) > 1 else []
    missing = {train: int(np.isnan(scores_Q).sum()) for train, scores_Q in scores.items() if np.isnan(scores_Q).any()}
    notes += [f"{train} lacks {count} questions of {test}." for train, count in missing.items()]
    return rows, drops, notes


def _relative_drop(
    ours_Q: NDArray[np.float64], theirs_Q: NDArray[np.float64], draws: Resamples
) -> tuple[float, NDArray[np.float64]]:
    """Return ``1 - ours / theirs`` on the questions that both answered, and its resamples."""
    is_both_Q = ~np.isnan(ours_Q) & ~np.isnan(theirs_Q)
    ours_Q, theirs_Q = (np.where(is_both_Q, one, np.nan) for one in (ours_Q, theirs_Q))
    with np.errstate(invalid="ignore", divide="ignore"):
        base = mean_of(theirs_Q)
        drop = 1 - mean_of(ours_Q) / base if base > 0 else float("nan")
        bases_R, means_R = draws.means(np.stack([theirs_Q, ours_Q]))
        drop_R: NDArray[np.float64] = np.where(bases_R > 0, 1 - means_R / bases_R, np.nan)
    return drop, drop_R


def _matrix(trains: list[str], tests: list[str], rows: list[dict[str, JsonValue]]) -> dict[str, dict[str, JsonValue]]:
    """Return the scores as text, train domain by test domain; the diagonal is marked."""
    scores = {(str(row["train"]), str(row["test"])): row["score"] for row in rows}
    return {
        f"trained on {train}": {
            test: f"{scores[train, test]:.3f}{OWN if train == test else ''}"
            if scores.get((train, test)) is not None
            else "-"
            for test in tests
        }
        for train in trains
    }


def _result_of(folder: Path) -> dict[str, Any]:
    path = folder / "result.json"
    try:
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TaskError(f"{path} cannot be read ({error}). Give the folder of a finished run.") from error
    return result
