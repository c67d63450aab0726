"""The encoders that the scale experiment compares: one pretrained network, looking once or at several scales.

Shapes: N pictures, P patches, E features.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor

from geoprose.models.registries import VISION_ENCODERS
from geoprose.systems.dual_encoder import picture_processor
from geoprose.systems.hf_config import sub_config
from geoprose.systems.presets import load_preset
from geoprose.systems.pretrained import load_encoder, weights_dir
from geoprose.systems.tiny import tiny_spec

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from geoprose.systems.spec import SystemSpec
    from geoprose.systems.specs.encoders import VisionEncoderSpec

BATCH = 32


class SceneEncoder:
    """Pictures to one vector each: the mean over the patches.

    Args:
        preset: System preset that the pretrained network and its preprocessing come from.
        scales: Multiples of the preset's tile at which the network looks; ``(1,)`` looks once, ``(1, 2)`` is S2.
        enlarge: Side of the tile in multiples of the preset's, where it looks once.
        is_tiny: Shrink the network and draw it at random.
    """

    def __init__(self, preset: str, scales: Sequence[int] = (1,), enlarge: int = 1, is_tiny: bool = False) -> None:
        base: SystemSpec = load_preset(preset)
        base = tiny_spec(base) if is_tiny else base
        side_px = base.resolution.image_size * max(*scales, enlarge)
        resolution = base.resolution.model_copy(update={"image_size": side_px})
        spec: Any = base.model_copy(update={"resolution": resolution})
        self.processor = picture_processor(spec)
        self.encoder = _encoder(_vision_spec(base.vision_encoder, scales), side_px, is_tiny)
        self.seconds_per_picture = 0.0

    @property
    def num_parameters(self) -> int:
        """Weights of the network."""
        return sum(parameter.numel() for parameter in self.encoder.parameters())

    @torch.inference_mode()
    def encode(self, pictures: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Return (N, E), float32; ``seconds_per_picture`` then holds the time of the network alone."""
        parts, seconds = [], 0.0
        for start in range(0, len(pictures), BATCH):
            batch = [Image.fromarray(pixels) for pixels in pictures[start : start + BATCH]]
            pixels = self.processor(batch, return_tensors="pt")["pixel_values"]
            begun = time.perf_counter()
            parts.append(self.encoder(pixels).mean(1).float())
            seconds += time.perf_counter() - begun
        self.seconds_per_picture = seconds / max(1, len(pictures))
        return torch.cat(parts)


def _vision_spec(base: VisionEncoderSpec, scales: Sequence[int]) -> VisionEncoderSpec:
    if tuple(scales) == (1,):
        return base.model_copy(update={"pool": 1})  # the mean over all patches is the same
    model_type = VISION_ENCODERS.get(base.type).model_type
    return base.model_copy(
        update={
            "type": "multi_scale",
            "config": {**base.config, "model_type": model_type},
            "pool": max(scales),
            "extra": {"base": base.type, "scales": list(scales)},
        }
    )


def _encoder(spec: VisionEncoderSpec, side_px: int, is_tiny: bool) -> Any:
    encoder_class = VISION_ENCODERS.get(spec.type)
    values: dict[str, Any] = {**spec.config, "image_size": side_px}
    config = sub_config(str(values.pop("model_type", encoder_class.model_type)), values, "vision_encoder")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = encoder_class(config, **spec.arguments())
    if not is_tiny:
        load_encoder(encoder, spec, weights_dir(spec.weights, "vision_encoder"), "vision_encoder")
    return encoder.eval()
