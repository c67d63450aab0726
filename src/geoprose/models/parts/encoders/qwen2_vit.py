"""Qwen2-VL's vision encoder: patches of any number of pictures and videos at their own size, in one sequence."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VisionTransformerPretrainedModel
from transformers.utils.generic import is_flash_attention_requested
from transformers.vision_utils import get_vision_cu_seqlens, get_vision_position_ids

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.models.parts.encoders.hf import HfEncoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from transformers import PreTrainedConfig

    from geoprose.models.inputs import VisualInputs


class Qwen2VitEncoder(HfEncoder):
    """The blocks of Qwen2-VL's encoder, without the merger, which is a connector (``patch_merger``).

    Every picture, and every step in time of a video, attends to itself only. The patches of one group (2x2 neighbours)
    stand together, so a group takes the place of a tile: features are (N, 4, E) for N groups.

    Args:
        config: ``Qwen2VLVisionConfig``; its ``image_size`` is the side of a group, pixels.
        feature_layer: See ``HfEncoder``.
        pool: 1; the merger pools.
        final_norm: False; the encoder has none.
        truncate: See ``HfEncoder``.

    Source:
        arXiv:2409.12191 section 2.1; ``Qwen2VisionTransformerPretrainedModel`` of transformers.
    """

    model_type = "qwen2_vl_vision"
    _num_prefix = 0
    _table = ""
    _blocks = "blocks"
    _final_norm = ""

    def __init__(
        self,
        config: PreTrainedConfig,
        feature_layer: int | Sequence[int] | None = None,
        pool: int = 1,
        final_norm: bool = False,
        truncate: bool = False,
    ) -> None:
        if pool != 1 or final_norm:
            raise ConfigError(
                "vision_encoder qwen2_vit has no final norm and pools nothing; leave out pool and final_norm."
            )
        super().__init__(config, feature_layer, pool, final_norm, truncate)
        self.merge = int(config.spatial_merge_size)
        if self._grid_side != self.merge:
            raise ConfigError(
                f"vision_encoder qwen2_vit merges {self.merge}x{self.merge} patches of {self.patch_size} px, so "
                f"resolution.image_size must be {self.merge * self.patch_size}, not {self.image_size}."
            )

    def _width(self, config: PreTrainedConfig) -> int:
        return int(config.embed_dim)

    def _build_tower(self, config: PreTrainedConfig) -> Any:
        tower = Qwen2VisionTransformerPretrainedModel._from_config(config)
        tower.merger = nn.Identity()
        return tower

    def _head_prefixes(self) -> tuple[str, ...]:
        return ()

    def encode(self, inputs: VisualInputs) -> Tensor:
        """Return the features (N, 4, E) of the groups of all visuals.

        Raises:
            ProcessingError: If patches or grids are missing, or do not match.
        """
        if inputs.pixel_values is None or inputs.visual_layouts is None:
            raise ProcessingError(
                "The vision encoder qwen2_vit needs pixel_values and visual_layouts, which the image processor of the "
                "same system gives together."
            )
        # Why on the CPU: the sizes steer the control flow, wherever the patches are.
        layouts_S6 = inputs.visual_layouts.cpu()
        grids_S3 = layouts_S6[:, :3] * torch.tensor([1, self.merge, self.merge], device="cpu")
        patches_RC = inputs.pixel_values.reshape(-1, inputs.pixel_values.shape[-1])
        if int(grids_S3.prod(-1).sum()) != len(patches_RC):
            raise ProcessingError(
                f"visual_layouts describe {int(grids_S3.prod(-1).sum())} patches but pixel_values hold "
                f"{len(patches_RC)}; encode all visuals of the batch with the processor of this system."
            )
        features: Tensor = self(patches_RC, grids_S3)
        return features

    def forward(self, patches_RC: Tensor, grids_S3: Tensor | None = None) -> Tensor:
        """Return the features (N, 4, E) of R = 4 N patches in groups.

        Args:
            patches_RC: Values of a patch: channels, frames, rows, columns.
            grids_S3: Steps in time, rows and columns of patches of each visual, on the CPU.
        """
        patches = patches_RC.to(dtype=self.tower.dtype)
        borders = get_vision_cu_seqlens(grids_S3)
        run = partial(
            self.tower,
            patches,
            grid_thw=grids_S3,
            position_ids=get_vision_position_ids(grids_S3, self.merge).to(patches.device),
            cu_seqlens=borders.to(patches.device) if is_flash_attention_requested(self.tower.config) else borders,
        )
        if not self._layers:
            features_RE = run().last_hidden_state
        else:
            states = run(output_hidden_states=True).hidden_states
            features_RE = torch.cat([states[layer] for layer in self._layers], dim=-1)
        return features_RE.unflatten(0, (-1, self.merge**2))  # type: ignore[no-any-return]
