"""Brief 003, second experiment: visual tokens among the words, or read by cross-attention; which captions better?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar

from pydantic import PositiveInt

from geoprose.core.spec import Spec
from geoprose.experiments.reproduce.base import Arm, Reproduction, Trial
from geoprose.experiments.reproduce.caption_exam import CIDER, COLUMNS, GROUNDING, sit_captions
from geoprose.experiments.reproduce.captioned import prepared
from geoprose.experiments.reproduce.findings import Finding, contrasts, points
from geoprose.experiments.reproduce.outcomes import read_json
from geoprose.experiments.reproduce.synonyms import METEOR, fetch_synonyms
from geoprose.experiments.reproduce.verdicts import OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from geoprose.experiments.reproduce.base import MetricColumn
    from geoprose.experiments.reproduce.findings import Contrast
    from geoprose.experiments.reproduce.score_table import ScoreTable
    from geoprose.experiments.reproduce.scores import Scores

RECIPE = "_fuse"
SYSTEMS = {"concat": "_fusion-concat", "cross": "_fusion-cross"}
CONDITIONS = ("adapted", "frozen")
GATE_RATE = 3.0e-2
"""Gates start at 0 and must reach about 1 in few steps; Flamingo trains 500,000."""
LORA = {"rank": 16, "alpha": 32, "init": "normal", "targets": ["q_proj", "k_proj", "v_proj", "o_proj"]}


class FusionSettings(Spec):
    """What ``--set`` may change."""

    steps: PositiveInt = 100
    """Steps of every arm."""
    batch_size: PositiveInt = 8
    """Captions of a step, the same ones in the same order for every arm with the same seed."""
    max_train: PositiveInt = 2000
    """Training pictures."""
    max_test: PositiveInt = 160
    """Test pictures that are described, each twice: as itself and as another."""
    conditions: tuple[str, ...] = CONDITIONS
    """``adapted``: LoRA in the language model; ``frozen``: it stays as it is."""
    meteor: str = METEOR
    """Variant of the captioning protocol."""


class FusionExperiment(Reproduction):
    """Two fusions, with the language model adapted and frozen; encoder, connector, data and steps are the same."""

    name: ClassVar[str] = "fusion"
    title: ClassVar[str] = "Concatenation against cross-attention for captions"
    question: ClassVar[str] = (
        "With the same encoder, language model, data and number of captions seen: does gated cross-attention describe "
        "pictures better than visual tokens among the words, and does it look at the picture more?"
    )
    source: ClassVar[str] = (
        "Brief 003 (arXiv:2411.05826), second experiment: replace concatenation by cross-attention and compare "
        "captions. arXiv:2405.02246 (finding 2) reports cross-attention better while the pretrained parts are frozen, "
        "concatenation better once they train."
    )
    settings_type: ClassVar[type[Spec]] = FusionSettings
    settings: FusionSettings

    def arms(self) -> tuple[Arm, ...]:
        """Return both fusions for each condition."""
        words = {"adapted": "LoRA in the language model", "frozen": "language model frozen"}
        titles = {"concat": "concatenation", "cross": "cross-attention"}
        return tuple(
            Arm(f"{fusion}-{condition}", f"{title}, {condition}", f"{title.capitalize()}; {words[condition]}.")
            for condition in self.settings.conditions
            for fusion, title in titles.items()
        )

    def metrics(self) -> tuple[MetricColumn, ...]:
        """Return the caption scores, and what is lost when another picture is shown."""
        return COLUMNS

    def prepare(self) -> None:
        """Fetch what scoring reads, and build the data."""
        fetch_synonyms(self.settings.meteor)
        prepared(self.work, self.settings.max_train)

    def train(self, trial: Trial) -> None:
        """Train one fusion under one condition."""
        from geoprose.training.run import run_recipe

        fusion, condition = trial.arm.name.split("-")
        stage = {
            "steps": self.settings.steps,
            "batch_size": self.settings.batch_size,
            "trainable": ["connector.*", *(["fusion.*"] if fusion == "cross" else [])],
            "learning_rates": {"fusion.*gate": GATE_RATE} if fusion == "cross" else {},
            "lora": LORA if condition == "adapted" else None,
        }
        overrides = [f"system={SYSTEMS[fusion]}", f"seed={trial.seed}"]
        if self.work.scale == "tiny":
            overrides += ["scale=tiny", "num_threads=1", "features.cache=run"]
            stage["precision"] = "fp32"
        overrides += [f"stages.0.{key}={json.dumps(value)}" for key, value in stage.items()]
        data = prepared(self.work, self.settings.max_train)
        run_recipe(RECIPE, overrides, self.work.trial_dir(trial) / "train", resume=True, data_dir=data)

    def measure(self, trial: Trial) -> Scores:
        """Describe the test pictures, and each as if it were another."""
        folder, data = self.work.trial_dir(trial), prepared(self.work, self.settings.max_train)
        system = folder / "train" / "system"
        return sit_captions(system, data, folder / "test", self.settings.meteor, self.settings.max_test)

    def findings(self, table: ScoreTable) -> list[Finding]:
        """Compare the fusions under each condition, in every figure."""
        pairs = [(f"cross-{condition}", f"concat-{condition}") for condition in self.settings.conditions]
        found = contrasts(table, [(ours, theirs, column.name) for ours, theirs in pairs for column in COLUMNS])
        findings = []
        for condition in self.settings.conditions:
            own = {one.metric: one for one in found if one.arm == f"cross-{condition}"}
            for head, names in _FIGURES.items():
                if head in own:
                    question = _QUESTIONS[head].format(condition=_WORDS[condition])
                    findings.append(_finding(question, [own[name] for name in names]))
        return findings

    def costs(self) -> Mapping[str, Mapping[str, float]]:
        """Return what trains in each arm, of how much, and the tokens it read, visual ones included (first seed)."""
        return {arm.name: self._cost(arm) for arm in self.arms() if self._record(arm).is_file()}

    def notes(self) -> tuple[str, ...]:
        """Return what the figures rest on."""
        return (
            "Both fusions see the same captions in the same order. Cross-attention trains more weights: its layers; "
            "concatenation computes longer rows: 16 visual tokens for each picture.",
            f"Gates of cross-attention start at zero and train at a rate of their own, {GATE_RATE:g}. No rate was "
            "tuned, and a few steps decide little about fusions that train for long.",
            "The last figure is CIDEr minus CIDEr of the captions that the system writes for another picture of the "
            "test: 0 for a system that does not look.",
        )

    def _record(self, arm: Arm) -> Path:
        return self.work.trial_dir(Trial(arm, self.work.seeds[0])) / "train" / "run.json"

    def _cost(self, arm: Arm) -> dict[str, float]:
        from geoprose.systems.cost import parameters_by_part
        from geoprose.systems.load import load_system

        stage = next(iter(read_json(self._record(arm))["stages"].values()))
        model = load_system(self._record(arm).parent / "system").model
        return {
            "parameters": float(sum(parameters_by_part(model).values())),
            "trained parameters": float(stage["num_trainable"]),
            "tokens read": float(stage["tokens"]),
        }


_WORDS = {"adapted": "adapted by LoRA", "frozen": "frozen"}
_FIGURES = {CIDER: (CIDER, "rouge_l", "meteor"), GROUNDING: (GROUNDING,)}
"""The figure that decides a question, and all that its answer tells."""
_QUESTIONS = {
    CIDER: "With the language model {condition}, cross-attention writes better captions than concatenation (CIDEr).",
    GROUNDING: "With the language model {condition}, captions of cross-attention depend more on the picture.",
}


def _finding(question: str, found: Sequence[Contrast]) -> Finding:
    columns = {column.name: column for column in COLUMNS}
    parts = [f"{columns[one.metric].title} {points(one.difference, columns[one.metric])}" for one in found]
    sentence = f"Cross-attention minus concatenation: {'; '.join(parts)}."
    return Finding(question, OUTCOMES[found[0].direction], sentence, {one.metric: one.as_json() for one in found})
