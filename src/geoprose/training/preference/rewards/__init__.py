"""What an answer is worth: pure functions of the text and the sample, and the table that recipes name them from.

Imports answers, data and training's specs. Imported by the rest of preference training.
Start at base.py, then texts.py and boxes.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.core.registry import Registry

if TYPE_CHECKING:
    from geoprose.training.preference.rewards.base import Reward

REWARDS: Registry[Reward] = Registry(
    slot="reward",
    table={
        "answer": "geoprose.training.preference.rewards.texts:answer_reward",
        "box_iou": "geoprose.training.preference.rewards.boxes:box_iou_reward",
        "count": "geoprose.training.preference.rewards.texts:count_reward",
        "format": "geoprose.training.preference.rewards.boxes:format_reward",
        "length": "geoprose.training.preference.rewards.texts:length_reward",
        "reward_model": "geoprose.training.preference.reward_model:model_reward",
    },
)
