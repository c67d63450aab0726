"""A system with a reward head as a judge: rewards for answers, and the best of several."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from geoprose.data.collator import Collator
from geoprose.data.preferences import with_answer
from geoprose.training.forward import Forward
from geoprose.training.pictures.vision import in_model_dtypes
from geoprose.training.preference.answers import encode_answer, shared_row
from geoprose.training.preference.reward_head import RewardHead

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image

    from geoprose.core.types import Sample
    from geoprose.training.preference.rewards.base import Frame
    from geoprose.training.specs.rewards import ModelRewardSpec


class RewardModel:
    """Scores answers to a question about pictures.

    Args:
        system: Model and processor.
        head: What was trained beside it.
    """

    def __init__(self, system: Any, head: RewardHead) -> None:
        self.system = system
        self.head = head.eval()

    @classmethod
    def load(cls, folder: str | Path) -> RewardModel:
        """Read a system and the head beside it.

        Raises:
            ModelError: If there is no head.
        """
        from geoprose.systems.load import load_system

        head = RewardHead.load(Path(folder))
        system = load_system(folder)
        system.model.requires_grad_(False).eval()
        return cls(system, head)

    @torch.no_grad()
    def score(self, sample: Sample, pictures: Sequence[Image], answers: Sequence[str]) -> list[float]:
        """Return the reward of each answer; the question and its pictures are read once for all.

        Args:
            sample: The question; an answer at its end is left out.
            pictures: In the order of their marks.
            answers: At least one, none empty.
        """
        processor, model = self.system.processor, self.system.model
        plans = processor.image_processor.plan_sample([picture.size for picture in pictures]) if pictures else []
        counts = [processor.image_segments(plan.layout) for plan in plans]
        encoded = [encode_answer(processor, with_answer(sample, text), text, True, ([], counts)) for text in answers]
        row = shared_row(encoded)
        if pictures:
            row.row.visual = dict(processor.image_processor(list(pictures), return_tensors="pt"))
        batch = in_model_dtypes(Collator(processor.tokenizer.pad_token_id)([row.row]), model)
        batch = {name: value.to(model.device) for name, value in batch.items()}
        answer_of_BT = torch.tensor([row.answers], device=model.device)
        hidden_BTD = Forward(model, batch).hidden
        rewards_A = self.head.to(model.device)(hidden_BTD, answer_of_BT, len(answers))
        return [float(reward) for reward in rewards_A]

    def best_of(self, sample: Sample, pictures: Sequence[Image], answers: Sequence[str]) -> int:
        """Return the place of the answer with the largest reward, the first of equals."""
        rewards = self.score(sample, pictures, answers)
        return rewards.index(max(rewards))


def model_reward(prediction: str, sample: Sample, frame: Frame, spec: ModelRewardSpec) -> float:
    """Return what the reward model of ``spec.system`` says."""
    return _loaded(spec.system).score(sample, frame.pictures, [prediction or " "])[0]


@lru_cache(maxsize=2)
def _loaded(folder: str) -> RewardModel:
    return RewardModel.load(folder)
