"""Brief 003, first experiment: a ViT and a BERT trained on pairs; do pictures and texts find each other?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar

from pydantic import PositiveInt

from geoprose.core.spec import Spec
from geoprose.evaluation.metrics.retrieval import KS
from geoprose.evaluation.report.charts import curve_chart
from geoprose.experiments.reproduce.base import Arm, MetricColumn, Reproduction, Trial
from geoprose.experiments.reproduce.captioned import MISPAIRED, SHUFFLED, prepared, read_captioned
from geoprose.experiments.reproduce.findings import Finding, contrasts, points
from geoprose.experiments.reproduce.retrieval_exam import MEAN_RECALL, chance_of, retrieval_queries, sit_retrieval
from geoprose.experiments.reproduce.score_table import Interval
from geoprose.experiments.reproduce.text_words import write_words
from geoprose.experiments.reproduce.verdicts import OUTCOMES, decided

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from markupsafe import Markup

    from geoprose.core.types import Sample
    from geoprose.experiments.reproduce.score_table import ScoreTable
    from geoprose.experiments.reproduce.scores import Scores

SYSTEM, RECIPE = "_alignment", "_align-pairs"
UNTRAINED, ALIGNED, WRONG, TUNED = "untrained", "aligned", "mispaired", "tuned"
EXCHANGED = "exchanged"
_LAST_BLOCKS = ("vision.model.encoder.layer.10.*", "vision.model.encoder.layer.11.*", "vision.model.layernorm.*")
_TINY_BLOCKS = ("vision.model.encoder.layer.1.*", "vision.model.layernorm.*")


class AlignmentSettings(Spec):
    """What ``--set`` may change."""

    steps: PositiveInt = 150
    """Steps of every arm that trains."""
    batch_size: PositiveInt = 128
    """Pairs that are compared with each other."""
    max_train: PositiveInt = 2000
    """Training pictures."""
    vocabulary: PositiveInt = 2048
    """Most words and word pieces of the text tower."""
    is_tuned: bool = False
    """Whether an arm also trains the last two blocks of the vision tower; it encodes every picture at every step."""


class AlignmentExperiment(Reproduction):
    """A dual encoder against chance, against itself untrained, and against one trained on wrong pairs."""

    name: ClassVar[str] = "alignment"
    title: ClassVar[str] = "Alignment of a ViT and a BERT by contrast"
    question: ClassVar[str] = (
        "Does a dual encoder that is trained on pairs of picture and caption find unseen pictures by their captions, "
        "and captions by their pictures?"
    )
    source: ClassVar[str] = (
        "Brief 003 (arXiv:2411.05826), first experiment: a minimal dual encoder, ViT and BERT, with a contrastive "
        "loss; zero-shot Recall@K as a baseline of cross-modal alignment. The brief names ChatEarthNet; its captions "
        "are written from land cover, as those of the packaged tiles are."
    )
    settings_type: ClassVar[type[Spec]] = AlignmentSettings
    settings: AlignmentSettings

    def arms(self) -> tuple[Arm, ...]:
        """Return the untrained encoder, the trained one, the control, and if wanted the one with a tuned ViT."""
        arms = [
            Arm(UNTRAINED, "untrained", "Pretrained ViT, BERT and projections as drawn."),
            Arm(ALIGNED, "trained", "BERT from nothing and both projections learn; the ViT is frozen."),
            Arm(WRONG, "trained on wrong pairs", "The same, each caption beside another picture: a control."),
        ]
        tuned = Arm(TUNED, "trained with the ViT", "The last two blocks of the ViT learn too.")
        return (*arms, tuned) if self.settings.is_tuned else tuple(arms)

    def metrics(self) -> tuple[MetricColumn, ...]:
        """Return the recalls each way, their mean, and the mean with exchanged pictures."""
        groups = {"t2i": "text to picture", "i2t": "picture to text"}
        recalls = [MetricColumn(f"{short}_{k}", f"R@{k}", group) for short, group in groups.items() for k in KS]
        return (
            MetricColumn(MEAN_RECALL, "mR", "both ways"),
            *recalls,
            MetricColumn(EXCHANGED, "mR", "pictures exchanged"),
        )

    def prepare(self) -> None:
        """Build the data and, of its training captions, the words of the text tower."""
        captions = [text for p in read_captioned(self._data()) if p.split == "train" for text in p.captions]
        write_words(self._words, captions, self.settings.vocabulary)

    def train(self, trial: Trial) -> None:
        """Draw the start with the trial's seed, and train it."""
        from geoprose.training.run import run_recipe

        start = self._start(trial)
        if trial.arm.name == UNTRAINED:
            return
        stage = {"steps": self.settings.steps, "batch_size": self.settings.batch_size}
        if trial.arm.name == WRONG:
            stage["data"] = [{"path": f"{MISPAIRED}.jsonl"}]  # type: ignore[assignment]  # a stage holds values of any kind
        overrides = [f"system={json.dumps(str(start))}", f"seed={trial.seed}"]
        overrides += [f"stages.0.{key}={json.dumps(value)}" for key, value in stage.items()]
        if trial.arm.name == TUNED:
            overrides.append(f"stages.0.trainable={json.dumps([*self._trainable(), *self._blocks()])}")
        if self.work.scale == "tiny":
            overrides += ["num_threads=1", "features.cache=run"]
        run_recipe(RECIPE, overrides, self.work.trial_dir(trial) / "train", resume=True, data_dir=self._data())

    def measure(self, trial: Trial) -> Scores:
        """Rank the test pictures and captions, and once more with exchanged pictures."""
        folder = self.work.trial_dir(trial)
        scores = sit_retrieval(self.system_dir(trial), self._data(), folder / "test", "test")
        exchanged = sit_retrieval(self.system_dir(trial), self._data(), folder / SHUFFLED, SHUFFLED)
        return {**scores, EXCHANGED: exchanged[MEAN_RECALL]}

    def findings(self, table: ScoreTable) -> list[Finding]:
        """Compare with chance, with the untrained encoder, and look at the controls."""
        column = self.metrics()[0]
        found = []
        if table.has(MEAN_RECALL, ALIGNED):
            found.append(self._against_chance(table))
        questions = {
            (ALIGNED, UNTRAINED): "Training on pairs raises the mean recall over the untrained encoder.",
            (ALIGNED, WRONG): "What is learnt comes from the right pairs: wrong ones teach less.",
            (TUNED, ALIGNED): "Training the last blocks of the ViT too raises the mean recall.",
        }
        for one in contrasts(table, [(arm, other, MEAN_RECALL) for arm, other in questions]):
            sentence = f"Mean recall of '{one.arm}' minus '{one.reference}': {points(one.difference, column)}."
            found.append(Finding(questions[one.arm, one.reference], OUTCOMES[one.direction], sentence, one.as_json()))
        return found

    def costs(self) -> Mapping[str, Mapping[str, float]]:
        """Return the parameters of each arm, and those that learn."""
        from geoprose.systems.load import load_system

        costs = {}
        folders = {arm.name: self.system_dir(Trial(arm, self.work.seeds[0])) for arm in self.arms()}
        for name, folder in folders.items():
            if folder.is_dir():
                model = load_system(folder).model
                counts = {part: sum(p.numel() for p in own.parameters()) for part, own in model.named_children()}
                costs[name] = {"parameters": float(sum(counts.values())), "text tower": float(counts["text"])}
        return costs

    def notes(self) -> tuple[str, ...]:
        """Return what the figures rest on."""
        chance = chance_of(self._queries())
        words = ", ".join(f"{name} {100 * value:.1f}" for name, value in chance.items())
        return (
            f"A random order reaches, in percent: {words}.",
            "Equal captions count as one text: a query is answered by any picture with that caption. Equal scores "
            "count with their mean over all orders.",
            "No caption of the test was seen in training with its picture; the words of the text tower come from the "
            "training captions alone.",
        )

    def charts(self, table: ScoreTable) -> list[Markup]:
        """Return recall against k each way, with chance."""
        chance = chance_of(self._queries())
        drawn = []
        for short, title in {"t2i": "Pictures found for texts", "i2t": "Texts found for pictures"}.items():
            rows: dict[str, list[tuple[float, float]]] = {
                arm.title: [(k, table.estimate(arm.name, f"{short}_{k}").mean) for k in KS]
                for arm in self.arms()
                if arm.name in table.arms
            }
            rows["chance"] = [(k, chance[f"{short}_{k}"]) for k in KS]
            drawn.append(curve_chart(title, rows, ("k", "recall at k")))
        return drawn

    def system_dir(self, trial: Trial) -> Path:
        """Return the folder of a trained system."""
        folder = self.work.trial_dir(trial)
        return folder / "start" if trial.arm.name == UNTRAINED else folder / "train" / "system"

    def _against_chance(self, table: ScoreTable) -> Finding:
        chance = chance_of(self._queries())[MEAN_RECALL]
        own = table.estimate(ALIGNED, MEAN_RECALL)
        gap = Interval(own.mean - chance, own.low - chance, own.high - chance)
        sentence = f"Mean recall {100 * own.mean:.1f}, chance {100 * chance:.1f}: {points(gap, self.metrics()[0])}."
        question = "The trained dual encoder finds unseen pictures and captions better than chance."
        return Finding(question, decided(gap), sentence, {"difference": gap.as_json(), "chance": chance})

    @property
    def _words(self) -> Path:
        return self.work.out_dir / "words"

    def _data(self) -> Path:
        return prepared(self.work, self.settings.max_train)

    def _queries(self) -> list[Sample]:
        return retrieval_queries(self._data(), "test")

    def _start(self, trial: Trial) -> Path:
        """Return the system that a trial starts from; the seed draws its text tower and projections."""
        from geoprose.experiments.reproduce.dual_start import write_start

        folder = self.work.trial_dir(trial) / "start"
        if not folder.is_dir():
            write_start(folder, SYSTEM, self._words, trial.seed, self.work.scale)
        return folder

    def _trainable(self) -> tuple[str, ...]:
        from geoprose.training.recipes import load_recipe

        return load_recipe(RECIPE).stages[0].trainable

    def _blocks(self) -> tuple[str, ...]:
        return _LAST_BLOCKS if self.work.scale == "small" else _TINY_BLOCKS
