"""Pictures to maps of classes, with a dense system.

Shapes: N places, T dates, L classes, H W pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from geoprose.core.errors import ConfigError, InputError
from geoprose.inference.features import open_picture

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL.Image import Image

    from geoprose.systems.build import System


@torch.inference_mode()
def class_maps(system: System[Any], places: Sequence[Sequence[Image | Path]]) -> list[NDArray[np.uint8]]:
    """Return the likeliest class of every pixel, at the size of the first picture of each place.

    The scores are brought to that size before the likeliest is chosen, which keeps borders smooth.

    Args:
        system: A dense system.
        places: The pictures of each place, one per date, earliest first.

    Raises:
        ConfigError: If the system is of another kind, or cuts its pictures.
        InputError: If a place has another number of pictures than the system compares.
    """
    if system.spec.kind != "dense":
        raise ConfigError(f"System {system.spec.name} is of kind {system.spec.kind}; maps need a dense system.")
    mode = getattr(system.spec.resolution, "mode", "resize")
    if mode != "resize":
        raise ConfigError(f"System {system.spec.name} brings pictures to size by {mode!r}; maps need 'resize'.")
    dates = system.processor.num_dates
    if wrong := [len(place) for place in places if len(place) != dates]:
        raise InputError(f"System {system.spec.name} takes {dates} picture(s) per place, got {wrong[0]}.")
    opened = [tuple(open_picture(image) for image in place) for place in places]
    pictures = opened if dates > 1 else [place[0] for place in opened]
    model = system.model
    inputs = {
        name: value.to(model.device, model.dtype) if value.is_floating_point() else value.to(model.device)
        for name, value in system.processor(pictures).items()
    }
    logits_NLHW = model(**inputs).logits.float()
    return [_at_size(scores_LHW, place[0].size) for scores_LHW, place in zip(logits_NLHW, opened, strict=True)]


def _at_size(scores_LHW: torch.Tensor, size_px: tuple[int, int]) -> NDArray[np.uint8]:
    width, height = size_px
    resized = F.interpolate(scores_LHW[None], size=(height, width), mode="bilinear", align_corners=False)
    classes_HW: NDArray[np.uint8] = resized[0].argmax(0).cpu().numpy().astype(np.uint8)
    return classes_HW
