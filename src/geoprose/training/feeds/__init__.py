"""How units of samples become the tensors of a micro-batch: one feed for each kind of batch.

Imported by training only. Start at base.py (the contract), then conversation.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.core.errors import ConfigError
from geoprose.core.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.training.feeds.base import Feed
    from geoprose.training.losses.base import StageLoss

FEEDS: Registry[type[Feed]] = Registry(
    slot="feed",
    table={
        "conversation": "geoprose.training.feeds.conversation:ConversationFeed",
        "preference": "geoprose.training.feeds.preference:PreferenceFeed",
        "pictures": "geoprose.training.feeds.pictures:PictureFeed",
        "masks": "geoprose.training.feeds.masks:MaskFeed",
        "pairs": "geoprose.training.feeds.pairs:PairFeed",
    },
)


def feed_of(losses: Sequence[StageLoss]) -> type[Feed]:
    """Return the feed that the losses of a stage agree on.

    Raises:
        ConfigError: If they do not.
    """
    names = {loss.feed: str(loss.spec.label) for loss in losses}
    if len(names) > 1:
        wants = ", ".join(f"{label} reads {name} batches" for name, label in names.items())
        raise ConfigError(f"The losses of one stage must read the same kind of batch, but {wants}. Use two stages.")
    return FEEDS.get(next(iter(names)))
