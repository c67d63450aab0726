"""What an answer is rewarded for, and how a policy learns from it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from geoprose.core.spec import Spec
from geoprose.core.spec_paths import Place


class BaseRewardSpec(Spec):
    """One reward; the subclass says which."""

    type: str
    weight: PositiveFloat = 1.0
    """Factor of the reward in the sum."""


class BoxIouRewardSpec(BaseRewardSpec):
    """Overlap of the boxes of an answer with the right ones, 0 to 1; oriented boxes by their polygons."""

    type: Literal["box_iou"] = "box_iou"
    threshold: NonNegativeFloat = Field(default=0.0, le=1.0)
    """A pair below it counts as no overlap."""


class CountRewardSpec(BaseRewardSpec):
    """1 for the right count."""

    type: Literal["count"] = "count"
    kind: Literal["exact", "relative"] = "exact"
    """``relative``: also what a near miss deserves, ``max(0, 1 - |n - truth| / max(1, truth))``."""


class FormatRewardSpec(BaseRewardSpec):
    """1 for an answer that can be read as what was asked for."""

    type: Literal["format"] = "format"
    expects: Literal["boxes", "count", "words"]
    """``boxes``: at least one box and nothing broken; ``count``: one number; ``words``: text without boxes."""


class AnswerRewardSpec(BaseRewardSpec):
    """1 for an accepted answer, spelling aside."""

    type: Literal["answer"] = "answer"


class LengthRewardSpec(BaseRewardSpec):
    """0 up to ``free_words``, falling to -1 at ``max_words`` and staying there (arXiv:2503.14476, eq. 13)."""

    type: Literal["length"] = "length"
    free_words: PositiveInt = 30
    max_words: PositiveInt = 60

    @model_validator(mode="after")
    def _check(self) -> LengthRewardSpec:
        if self.max_words <= self.free_words:
            raise ValueError("max_words must be larger than free_words")
        return self


class ModelRewardSpec(BaseRewardSpec):
    """What a reward model says; see the loss ``reward_pairs``."""

    type: Literal["reward_model"] = "reward_model"
    system: Place
    """Directory of a system with a reward head beside it."""


RewardSpec = Annotated[
    BoxIouRewardSpec | CountRewardSpec | FormatRewardSpec | AnswerRewardSpec | LengthRewardSpec | ModelRewardSpec,
    Field(discriminator="type"),
]


class PolicySpec(Spec):
    """A stage that samples answers and learns from their rewards; its ``losses`` are not read.

    ``batch_size`` counts questions of a micro-batch, each answered ``num_generations`` times.
    """

    method: Literal["grpo", "rloo"] = "grpo"
    """Group-relative (arXiv:2402.03300) or leave-one-out (arXiv:2402.14740) advantages; both run by TRL."""
    rewards: tuple[RewardSpec, ...] = Field(min_length=1)
    num_generations: int = Field(default=4, ge=2)
    """Answers sampled for each question."""
    max_new_tokens: PositiveInt = 48
    """Longest answer."""
    temperature: PositiveFloat = 1.0
    top_p: PositiveFloat = Field(default=1.0, le=1.0)
    kl_weight: NonNegativeFloat = 0.0
    """Of the divergence from the model that the stage started with; above 0 a second copy of the weights is held."""
    clip: PositiveFloat = 0.2
    """How far a probability may move in one step."""
    loss: Literal["grpo", "dr_grpo", "dapo"] = "dapo"
    """How tokens are averaged (``grpo`` only): per answer, by the longest answer, or over all tokens."""
