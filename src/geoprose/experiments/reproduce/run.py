"""Go through the trials of a reproduction, keep what is finished, and write table, report and record after each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from geoprose.core.errors import ConfigError, GeoproseError
from geoprose.core.files import write_json
from geoprose.core.registry import unknown_name_message
from geoprose.core.spec import apply_overrides, validate
from geoprose.core.spec_paths import as_recorded_now, canonical_paths
from geoprose.evaluation.locking import hold
from geoprose.experiments.phases import Phases
from geoprose.experiments.reproduce.base import Reproduction, Scale, Trial, Workplace
from geoprose.experiments.reproduce.outcomes import SECONDS_FILE, read_json, write_outcomes
from geoprose.experiments.reproduce.registry import REPRODUCTIONS
from geoprose.experiments.reproduce.score_table import ScoreTable
from geoprose.experiments.reproduce.scores import SCORES_FILE, read_scores, write_scores
from geoprose.training.checkpoints.lock import run_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from geoprose.core.spec import Spec

Phase = Literal["prepare", "train", "evaluate", "cost", "report"]
PLAN_FILE, COSTS_FILE = "reproduction.json", "costs.json"
PREPARE_WAIT_S = 7200.0
"""How long a second process waits for what all trials share."""


@dataclass(frozen=True)
class ReproduceOptions:
    """How to reproduce.

    Attributes:
        scale: ``small`` for the real thing; ``tiny`` for random weights and seconds.
        seeds: Number of seeds, from 0.
        data_dir: Data set instead of the packaged one.
        overrides: ``"steps=100"`` and the like: changes of the reproduction's settings.
        only: Do this phase alone.
        arms: Only these arms; all when empty.
        say: Called with one line as work goes on.
    """

    scale: Scale = "small"
    seeds: int = 3
    data_dir: Path | None = None
    overrides: tuple[str, ...] = ()
    only: Phase | None = None
    arms: tuple[str, ...] = ()
    say: Callable[[str], None] = lambda line: None


def run_reproduction(name: str, out_dir: Path, options: ReproduceOptions | None = None) -> dict[str, Any]:
    """Reproduce a published result, or go on with it.

    Every trained system and every measurement is a folder that is kept; ``result.json`` and ``report.html`` are
    written after every trial, so that a run that is stopped leaves what it knows. Several processes may work in one
    folder at the same time: each takes a trial that no other one holds.

    Args:
        name: Name in ``REPRODUCTIONS``.
        out_dir: Folder of the run.
        options: How to reproduce.

    Returns:
        The content of ``result.json``.

    Raises:
        ConfigError: If the name, a setting or an arm is unknown, or the folder holds a run with other settings.
        GeoproseError: Whatever training or evaluating raises; what is finished is kept.
    """
    options = options or ReproduceOptions()
    if options.seeds < 1:
        raise ConfigError(f"--seeds is {options.seeds}; give at least 1.")
    kind = REPRODUCTIONS.get(name)
    values = apply_overrides({}, options.overrides)
    settings = canonical_paths(validate(kind.settings_type, values, f"--set of {name}"))
    work = Workplace(out_dir, options.scale, tuple(range(options.seeds)), options.data_dir, options.say)
    reproduction = kind(work, settings)
    trials = _chosen(reproduction, options.arms)
    _keep_plan(out_dir, {"name": name, "scale": options.scale}, settings)
    return _Runner(reproduction, options.only).run(trials)


class _Runner:
    """One process at work on a reproduction."""

    def __init__(self, reproduction: Reproduction, only: Phase | None) -> None:
        self.reproduction = reproduction
        self.work = reproduction.work
        self.only = only

    def run(self, trials: list[Trial]) -> dict[str, Any]:
        """Do the phases that are asked for."""
        if self._does("prepare"):
            self.work.say("prepare")
            with hold(self.work.out_dir, "prepare", wait_s=PREPARE_WAIT_S):
                self.reproduction.prepare()
            self._make_shared()
        if self._does("train") or self._does("evaluate"):
            for number, trial in enumerate(trials, start=1):
                self._go_through(trial, f"{number} of {len(trials)}")
        costs_path = self.work.out_dir / COSTS_FILE
        if self._does("cost") and not costs_path.is_file() and all(map(self._is_measured, trials)):
            self.work.say("cost")
            write_json(costs_path, {row: dict(figures) for row, figures in self.reproduction.costs().items()})
        return self.report()

    def _make_shared(self) -> None:
        """Make the parts that no other process is at, then wait for the others."""
        parts, left = self.reproduction.shared(), []
        for name, make in parts.items():
            try:
                with run_lock(self.work.out_dir, f".lock-{name}", _HeldError):
                    self.work.say(f"prepare {name}")
                    make()
            except _HeldError:
                left.append(name)
        for name in left:
            self.work.say(f"wait for {name}, which another process is at")
            with hold(self.work.out_dir, name, wait_s=PREPARE_WAIT_S):
                parts[name]()  # its holder may have failed

    def report(self) -> dict[str, Any]:
        """Write ``result.json`` and ``report.html`` from what is on the disk."""
        known = [trial for trial in all_trials(self.reproduction) if self._is_measured(trial)]
        table = ScoreTable({trial: read_scores(self.work.trial_dir(trial) / SCORES_FILE) for trial in known})
        seconds = {trial.label: read_json(self.work.trial_dir(trial) / SECONDS_FILE) for trial in known}
        return write_outcomes(self.reproduction, table, read_json(self.work.out_dir / COSTS_FILE), seconds)

    def _does(self, phase: Phase) -> bool:
        return self.only in (None, phase)

    def _is_measured(self, trial: Trial) -> bool:
        return (self.work.trial_dir(trial) / SCORES_FILE).is_file()

    def _go_through(self, trial: Trial, count: str) -> None:
        """Train and measure a trial, unless that is done or another process is at it."""
        folder = self.work.trial_dir(trial)
        if self._is_measured(trial):
            return
        try:
            with run_lock(folder, ".lock-trial", _HeldError):
                self._one(trial, folder, count)
        except _HeldError:
            self.work.say(f"{trial.label}: another process is at it")
            return
        if self._is_measured(trial):
            self.report()

    def _one(self, trial: Trial, folder: Path, count: str) -> None:
        phases = Phases(lambda phase: self.work.say(f"{phase} {trial.label} ({count})"))
        if self._does("train"):
            with phases("train"):
                self.reproduction.train(trial)
        if self._does("evaluate"):
            with phases("evaluate"):
                scores = self.reproduction.measure(trial)
            write_scores(folder / SCORES_FILE, scores)
        write_json(folder / SECONDS_FILE, read_json(folder / SECONDS_FILE) | phases.seconds)


class _HeldError(GeoproseError):
    """Another process holds the trial."""


def all_trials(reproduction: Reproduction) -> list[Trial]:
    """Return every trial: all arms with the first seed, then with the next, so that partial results are of use."""
    seeds = reproduction.work.seeds
    arms = reproduction.arms()
    return [Trial(arm, seed) for seed in seeds for arm in arms if seed == seeds[0] or not arm.is_once]


def _chosen(reproduction: Reproduction, names: Collection[str]) -> list[Trial]:
    known = [arm.name for arm in reproduction.arms()]
    for name in names:
        if name not in known:
            raise ConfigError(unknown_name_message(f"arm of {reproduction.name}", name, known))
    return [trial for trial in all_trials(reproduction) if not names or trial.arm.name in names]


def _keep_plan(out_dir: Path, plan: dict[str, Any], settings: Spec) -> None:
    """Write down what is reproduced with which settings; refuse to go on with others."""
    path = out_dir / PLAN_FILE
    known, chosen = read_json(path), settings.model_dump(mode="json")
    if not known:
        write_json(path, {**plan, "settings": chosen})
        return
    before = {**as_recorded_now(type(settings), known.pop("settings", {})), **known}
    now = {**chosen, **plan}
    changed = [
        f"{key} was {before.get(key)!r}, is {now.get(key)!r}"
        for key in dict.fromkeys([*before, *now])
        if before.get(key) != now.get(key)
    ]
    if changed:
        raise ConfigError(f"{out_dir} holds a run that differs: {'; '.join(changed)}. Choose another --out folder.")
