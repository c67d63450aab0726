"""An ImageBind tower behind the encoder contract: one vector of the joint space per input, or its patches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoprose.core.errors import ConfigError
from geoprose.models.own_configs import ImageBindConfig
from geoprose.models.parts.encoders.imagebind_tower import ImageBindTower
from geoprose.models.parts.encoders.last_layer import LastLayerEncoder

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedConfig

OUTPUTS = ("embedding", "patches")


class ImageBindEncoder(LastLayerEncoder):
    """A tower of ImageBind, for any of its modalities.

    Args:
        config: ``ImageBindConfig``.
        feature_layer: Must be None: the towers are read at their end.
        pool: Must be 1.
        final_norm: Must be False: the norm of the head always applies.
        truncate: Must be False.
        output: ``"embedding"`` gives one token per input, the vector of the joint space (N, 1, J), clips averaged
            (NExT-GPT, PandaGPT); ``"patches"`` gives the normalised patches (N, P, E) and has no clips.

    Raises:
        ConfigError: If an option does not apply.
    """

    model_type = ImageBindConfig.model_type
    only_output = "An ImageBind tower is read at its end"

    def __init__(self, config: PreTrainedConfig, output: str = "embedding", **choices: Any) -> None:
        super().__init__(config, **choices)
        if output not in OUTPUTS:
            raise ConfigError(f"ImageBind has no output {output!r}. Known: {', '.join(OUTPUTS)}.")
        assert isinstance(config, ImageBindConfig)
        self.tower = ImageBindTower(config)
        self.is_joint = output == "embedding"
        self.hidden_size = config.projection_dim if self.is_joint else config.hidden_size
        self.patch_size = config.patch_size
        self.image_size = max(self.tower.stem.input_shape)
        self.freeze_unused()

    def forward(self, pixel_values_NCHW: Tensor) -> Tensor:
        """Return (N, 1, J) or (N, P, E); inputs as in ``ImageBindTower.forward``, cast to the tower's dtype."""
        values = pixel_values_NCHW
        if values.is_floating_point():
            values = values.to(self.tower.dtype)
        return self.tower(values).unsqueeze(1) if self.is_joint else self.tower.patches(values)

    def num_patches(self) -> int:
        """Return 1 for the joint space, else P."""
        return 1 if self.is_joint else self.tower.stem.num_patches

    def unused_parameter_names(self) -> list[str]:
        """Return the way into the joint space where patches are wanted."""
        unused = () if self.is_joint else ("projection", "log_scale")
        return (
            [f"tower.{name}" for name, _ in self.tower.named_parameters() if name.startswith(unused)] if unused else []
        )

    def position_table_key(self) -> str:
        """Return the state-dict key of the position table, relative to this part."""
        return "tower.stem.positions"

    def num_prefix_positions(self) -> int:
        """Return the rows of the position table before the first patch."""
        return int(self.tower.stem.class_token is not None)
