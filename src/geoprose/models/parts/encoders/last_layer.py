"""Encoders that offer one output: there is no layer to choose, nothing to leave out and nothing to pool."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from geoprose.core.errors import ConfigError
from geoprose.models.parts.contracts import VisionEncoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedConfig


class LastLayerEncoder(VisionEncoder):
    """The part of the encoder contract that such encoders share.

    Attributes:
        only_output: What the encoder gives, for the message that refuses another choice.
    """

    only_output: ClassVar[str]

    def __init__(
        self,
        config: PreTrainedConfig,
        feature_layer: int | Sequence[int] | None = None,
        pool: int = 1,
        final_norm: bool = False,
        truncate: bool = False,
    ) -> None:
        super().__init__(config, feature_layer, pool, final_norm, truncate)
        if feature_layer is not None or pool != 1 or final_norm or truncate:
            raise ConfigError(f"{self.only_output}; leave feature_layer, pool, final_norm and truncate out.")
        self.pool = 1

    def is_dropped(self, name: str) -> bool:
        """Return False: nothing is left out."""
        return False

    def unused_parameter_names(self) -> list[str]:
        """Return no name: every weight is read, unless overridden."""
        return []

    def position_table_key(self) -> str:
        """Refuse, unless overridden: there is no table to resize.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(f"{self.only_output}; it has no position table to resize.")

    def num_prefix_positions(self) -> int:
        """Return 0, unless overridden: no row of a position table belongs to a prefix token."""
        return 0
