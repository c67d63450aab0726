"""Brief 004 at a size that two cores can run: what a student with half the layers gains from its teacher."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, PositiveInt

from geoprose.core.spec import Spec
from geoprose.core.spec_paths import Place
from geoprose.experiments.reproduce.base import Arm, MetricColumn, Reproduction, Trial
from geoprose.experiments.reproduce.distillation_charts import distillation_charts
from geoprose.experiments.reproduce.distillation_costs import costs_of, mean_seconds
from geoprose.experiments.reproduce.distillation_exam import CAPTION, COLUMNS, VQA, sit_exam, write_exam
from geoprose.experiments.reproduce.distillation_findings import distillation_findings
from geoprose.experiments.reproduce.distillation_methods import METHODS, PLAIN, START, TEACHER
from geoprose.experiments.reproduce.outcomes import SECONDS_FILE, read_json
from geoprose.experiments.reproduce.synonyms import METEOR, fetch_synonyms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from markupsafe import Markup

    from geoprose.experiments.reproduce.findings import Finding
    from geoprose.experiments.reproduce.score_table import ScoreTable
    from geoprose.experiments.reproduce.scores import Scores

TEACHER_RECIPE, START_RECIPE, STUDENT_RECIPE = "_distil-demo-teacher", "_distil-demo-start", "_distil-demo-student"
TINY_RECIPE = ("scale=tiny", "num_threads=1", "features.encoder_precision=fp32")
TINY_STAGE = ("steps=2", "precision=fp32", "log_every=1", "batch_size=2", "schedule.warmup_steps=1")

NOTES = (
    "One teacher was trained, with one seed; the students differ in the order of the data and in the start of their "
    "adapters, and share the teacher, the pretrained layers and the aligned connector.",
    "The budget is steps of gold answers: every method sees the same pictures, questions and right answers in the same "
    "order. Methods that sample answers also read those, and take longer; the seconds stand under cost.",
    "No setting was tuned for a method: adapters are the demo recipe's at half its rate, the weights of the losses "
    "their defaults, steps and questions were chosen for time. One choice was made on validation tiles, with one seed: "
    "after a start of 150 steps the student answered short questions at the level of chance, with and without a "
    "teacher, so the start has 400. A run with 150 was stopped after part of its first seed; there too no method was "
    "above plain.",
    "The test asks about places in strips of longitude that no training tile comes near; one picture has several "
    "questions, so pictures are resampled, not questions.",
    "Teacher and student are 152 M and 99 M parameters: what holds here need not hold for GeoChat-13B and 7B.",
)


class DistillationSettings(Spec):
    """What may be changed with ``--set``."""

    teacher: Place = ""
    """Folder of a trained teacher, such as ``runs/demo/train/system``; trained by recipe ``demo`` when empty."""
    steps: PositiveInt = 60
    """Steps of every student."""
    methods: tuple[str, ...] = tuple(METHODS)
    """Methods to compare; ``plain`` is always among them."""
    questions: dict[str, PositiveInt] = Field(default_factory=lambda: dict.fromkeys((*VQA, CAPTION), 60))
    """Most questions of a type that are asked; types that are not named are asked whole."""
    meteor: str = METEOR
    """Variant of the captioning protocol."""
    rounds: PositiveInt = 12
    """Questions that teacher and student answer in turn to measure the latency."""


class Distillation(Reproduction):
    """Teacher, student trained plainly, student trained by each method."""

    name = "distillation"
    title = "Distillation: a student with half the layers"
    question = (
        "Does a student with half the layers learn more from its teacher than from the right answers alone, and does "
        "it exceed the teacher anywhere, as brief 004 reports on three of four tasks?"
    )
    source = (
        "Brief 004 (lightweight remote sensing MLLM by knowledge distillation, GeoChat-13B to GeoChat-7B). The text of "
        "its feature loss is damaged, so the feature alignment is our reading."
    )
    settings_type: ClassVar[type[Spec]] = DistillationSettings

    settings: DistillationSettings

    def arms(self) -> tuple[Arm, ...]:
        """Return plain, what is trained once (the teacher, the student before the comparison), then the methods."""
        chosen = dict.fromkeys([PLAIN, *self.settings.methods])
        arms = [Arm(name, METHODS[name].title, METHODS[name].about) for name in chosen]
        teacher = Arm(TEACHER, "teacher", "All layers, the demo in more steps; who is learnt from.", is_once=True)
        start = Arm(START, "start", "The student before the comparison; every student starts here.", is_once=True)
        return (arms[0], teacher, start, *arms[1:])

    def metrics(self) -> tuple[MetricColumn, ...]:
        """Return the figures of the brief's four tasks, and their mean."""
        return COLUMNS

    @property
    def _world(self) -> Path:
        return self.work.data_dir or self.work.out_dir / "world"

    @property
    def _exam(self) -> Path:
        return self.work.out_dir / "exam"

    @property
    def _start(self) -> Path:
        return self.work.out_dir / START / "system"

    @property
    def _teacher(self) -> Path:
        own = self.work.out_dir / TEACHER / "system"
        return Path(self.settings.teacher) if self.settings.teacher else own

    def prepare(self) -> None:
        """Build world and exam."""
        if self.work.data_dir is None:
            from geoprose.experiments.world import packaged_world

            packaged_world(self._world)
        fetch_synonyms(self.settings.meteor)
        write_exam(self._world, self._exam, self.settings.questions)

    def shared(self) -> Mapping[str, Callable[[], object]]:
        """Train what every student starts from, and the teacher unless one is given."""
        recipes = {START: START_RECIPE} | ({} if self.settings.teacher else {TEACHER: TEACHER_RECIPE})
        return {
            name: partial(self._run, recipe, self.work.out_dir / name, self._tiny(2))
            for name, recipe in recipes.items()
        }

    def train(self, trial: Trial) -> None:
        """Train the student of a trial; what is trained once is there already."""
        if trial.arm.name not in METHODS:
            return
        method = METHODS[trial.arm.name]
        teacher = {"system": str(self._teacher)} if method.needs_teacher else None
        overrides = [
            f"system={json.dumps(str(self._start))}",
            f"teacher={json.dumps(teacher)}",
            f"seed={trial.seed}",
            f"stages.0.losses={json.dumps(list(method.losses))}",
            f"stages.0.steps={self.settings.steps}",
        ]
        # The student is read from a folder, which is as tiny as it was made.
        overrides += [one for one in self._tiny(1) if one not in ("scale=tiny", "stages.0.steps=2")]
        self._run(STUDENT_RECIPE, self.work.trial_dir(trial) / "train", overrides)

    def measure(self, trial: Trial) -> Scores:
        """Ask the system of a trial the questions of the test split."""
        return sit_exam(
            self.system_dir(trial), self._exam, self.work.trial_dir(trial) / "test", meteor=self.settings.meteor
        )

    def findings(self, table: ScoreTable) -> list[Finding]:
        """Answer the questions of brief 004."""
        return distillation_findings(table)

    def charts(self, table: ScoreTable) -> list[Markup]:
        """Draw gains, shares of the gap, and every figure."""
        return distillation_charts(self.arms(), table)

    def costs(self) -> Mapping[str, Mapping[str, float]]:
        """Return what teacher and student cost, and the seconds that each method trains."""
        first = Trial(self.arms()[0], self.work.seeds[0])
        folders = {"teacher": self._teacher, "student": self.system_dir(first)}
        rows = costs_of(folders, self._exam, self.settings.rounds)
        for arm in self.arms():
            trials = [Trial(arm, seed) for seed in self.work.seeds]
            seconds = [read_json(self.work.trial_dir(trial) / SECONDS_FILE) for trial in trials]
            if arm.name in METHODS:
                rows[f"training: {arm.title}"] = mean_seconds(seconds, "train")
        return rows

    def notes(self) -> tuple[str, ...]:
        """Return what a reader must know."""
        return NOTES

    def system_dir(self, trial: Trial) -> Path:
        """Return the folder of a trained system."""
        once = {TEACHER: self._teacher, START: self._start}
        return once.get(trial.arm.name, self.work.trial_dir(trial) / "train" / "system")

    def _run(self, recipe: str, out_dir: Path, overrides: list[str]) -> None:
        from geoprose.training.run import run_recipe

        run_recipe(recipe, overrides, out_dir, resume=True, data_dir=self._world)

    def _tiny(self, num_stages: int) -> list[str]:
        """Return the overrides that make a recipe run in seconds; none at the small scale."""
        if self.work.scale != "tiny":
            return []
        stages = [f"stages.{place}.{change}" for place in range(num_stages) for change in TINY_STAGE]
        return [*TINY_RECIPE, *stages]
