"""Losses that compare a student with a teacher."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from geoprose.training.specs.loss_base import BaseLossSpec


class TeacherLossSpec(BaseLossSpec):
    """What all losses on next-token distributions state."""

    needs_teacher: ClassVar[bool] = True

    lm_weight: NonNegativeFloat = 0.0
    """Weight of the cross-entropy of the gold answers beside the divergence; it shares the divergence's logits."""
    chunk_positions: PositiveInt = 512
    """Answer positions whose logits exist at a time; beyond that they are computed again for the gradient."""


class KdOfflineLossSpec(TeacherLossSpec):
    """Divergence on the positions of the gold answers (arXiv:1503.02531)."""

    type: Literal["kd_offline"] = "kd_offline"
    source: Literal["live", "cache"] = "live"
    """``live``: the teacher reads every batch. ``cache``: its ``top_k`` tokens a position are read from the disk, where
    they are put before the first step."""
    divergence: Literal["forward_kl", "reverse_kl"] = "forward_kl"
    temperature: PositiveFloat = 1.0
    """Both distributions are softened by it and the divergence is multiplied by its square."""
    top_k: PositiveInt = 64
    """Tokens kept a position (``cache`` only); the others share one bucket."""
    keep: Literal["run", "user"] = "run"
    """Where the cache lies: in the run's folder, or where all runs of this machine share it."""

    @model_validator(mode="after")
    def _check(self) -> KdOfflineLossSpec:
        if self.source == "cache" and (self.divergence != "forward_kl" or self.temperature != 1.0):
            raise ValueError("a cache holds log-probabilities for forward_kl at temperature 1; use source: live")
        return self


class OnPolicyLossSpec(TeacherLossSpec):
    """What losses on the student's own answers state."""

    max_new_tokens: PositiveInt = 48
    """Longest sampled answer."""
    samples: PositiveInt = 1
    """Sampled answers of a question."""
    temperature: PositiveFloat = 1.0
    """Of the sampling; the distributions that are compared stay as they are."""

    @property
    def on_policy_share(self) -> float:
        """Share of the micro-batches that train on sampled answers."""
        return 1.0


class GkdLossSpec(OnPolicyLossSpec):
    """Generalised Jensen-Shannon divergence on gold and sampled answers (arXiv:2306.13649)."""

    type: Literal["gkd"] = "gkd"
    beta: float = Field(default=0.5, ge=0.0, le=1.0)
    """0 is forward KL, 1 is reverse KL."""
    lmbda: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share of the micro-batches that train on sampled answers; the others train on the gold ones."""

    @property
    def on_policy_share(self) -> float:
        """Share of the micro-batches that train on sampled answers."""
        return self.lmbda


class ReverseKlOnPolicyLossSpec(OnPolicyLossSpec):
    """Full-vocabulary reverse KL on answers that the student samples; no gradient through the sampling."""

    type: Literal["reverse_kl_on_policy"] = "reverse_kl_on_policy"
    lmbda: float = Field(default=1.0, ge=0.0, le=1.0)
    """Share of the micro-batches that train on sampled answers; the others train on the gold ones."""

    @property
    def on_policy_share(self) -> float:
        """Share of the micro-batches that train on sampled answers."""
        return self.lmbda


class MiniLlmLossSpec(OnPolicyLossSpec):
    """Policy gradient of the reverse KL of whole answers (arXiv:2306.08543)."""

    type: Literal["minillm"] = "minillm"
    variant: Literal["paper", "released", "ours"] = "ours"
    """``paper``: as the equations say. ``released``: as the published code does it. ``ours``: expected instead of
    sampled rewards, and the mean of the question's other samples as baseline."""
    samples: PositiveInt = 4
    """Sampled answers of a question; ``ours`` compares each with the others."""
    teacher_mix: float | None = Field(default=None, ge=0.0, lt=1.0)
    """Share of the teacher in the distribution that is sampled from; None: 0.2 as in the paper, 0 for ``ours``."""
    length_norm: bool | None = None
    """Divide the reward to go by the tokens to go; None: true as in the paper, false for ``ours``, as it is biased."""
    clip: PositiveFloat = 0.2
    """How far the ratio to the sampling policy may move before its gradient is cut."""
    lm_weight: NonNegativeFloat = 1.0
    """Weight of the language-modelling term of the paper, here on the gold answers."""
    kd_ratio: float = Field(default=0.5, ge=0.0, le=1.0)
    """``released`` only: share of forward KL in the language-modelling term."""
    gamma: float = Field(default=0.95, gt=0.0, le=1.0)
    """``released`` only: discount of later rewards."""
    reward_clip: PositiveFloat = 100.0
    """``released`` only: limit of the size of a token's reward after scaling."""
    reward_scaling: PositiveFloat = 0.5
    """``released`` only: rewards are divided by it."""

    @model_validator(mode="after")
    def _check(self) -> MiniLlmLossSpec:
        if self.temperature != 1.0:
            raise ValueError("minillm samples from the distributions it compares: temperature must be 1")
        return self


class FeatureAlignmentLossSpec(BaseLossSpec):
    """Hidden states of student and teacher drawn together (our reading of the method behind brief 004)."""

    needs_teacher: ClassVar[bool] = True

    type: Literal["feature_alignment"] = "feature_alignment"
    weight: PositiveFloat = 0.5
    final_weight: NonNegativeFloat = 0.1
    """Weight at the end of the stage; a half cosine leads there."""
    visual_weight: NonNegativeFloat = 1.0
    text_weight: NonNegativeFloat = 1.0
    relation_weight: NonNegativeFloat = 1.0
    num_layers: PositiveInt = 3
    """Pairs of layers, spread evenly from the embeddings (and visual tokens) to the last layer."""
    relation_temperature: PositiveFloat = 0.1
    """Sharpness of the attention of text states over visual states."""
