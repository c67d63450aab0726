"""The ways in which the student of the distillation is trained: data, so that a new method is a new line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PLAIN, TEACHER, START = "plain", "teacher", "start"
LM: dict[str, Any] = {"type": "lm"}
LONGEST = 12
"""Tokens of a sampled answer; the longest right answer of the world has ten, its end included."""
FEATURES: dict[str, Any] = {"type": "feature_alignment"}


@dataclass(frozen=True)
class Method:
    """One way to train the student.

    Attributes:
        title: How tables call it.
        about: What is different about it.
        losses: Losses of the stage, as a recipe states them.
        without: The method that is the same but for the feature alignment; empty for one without it.
    """

    title: str
    about: str
    losses: tuple[dict[str, Any], ...]
    without: str = ""

    @property
    def needs_teacher(self) -> bool:
        """Whether the teacher is read."""
        return self.losses != (LM,)


METHODS: dict[str, Method] = {
    PLAIN: Method("plain", "Instruction tuning on the right answers alone.", (LM,)),
    "forward_kl": Method(
        "forward KL",
        "Cross-entropy of the right answers plus KL(teacher || student) at their tokens.",
        ({"type": "kd_offline", "divergence": "forward_kl", "lm_weight": 1.0},),
    ),
    "reverse_kl": Method(
        "reverse KL",
        "Cross-entropy of the right answers plus KL(student || teacher) at their tokens.",
        ({"type": "kd_offline", "divergence": "reverse_kl", "lm_weight": 1.0},),
    ),
    "on_policy": Method(
        "reverse KL, on-policy",
        "Cross-entropy of the right answers plus KL(student || teacher) at the tokens of answers that the student "
        "samples.",
        ({"type": "reverse_kl_on_policy", "lm_weight": 1.0, "max_new_tokens": LONGEST},),
    ),
    "minillm": Method(
        "MiniLLM",
        "Policy gradient of the reverse KL of whole answers, expected rewards with a leave-one-out baseline, plus "
        "cross-entropy of the right answers.",
        ({"type": "minillm", "variant": "ours", "lm_weight": 1.0, "samples": 2, "max_new_tokens": LONGEST},),
    ),
    "plain_features": Method(
        "plain + features",
        "Instruction tuning plus alignment of hidden states with the teacher's.",
        (LM, FEATURES),
        PLAIN,
    ),
    "forward_kl_features": Method(
        "forward KL + features",
        "Forward KL plus alignment of hidden states with the teacher's.",
        ({"type": "kd_offline", "divergence": "forward_kl", "lm_weight": 1.0}, FEATURES),
        "forward_kl",
    ),
}
