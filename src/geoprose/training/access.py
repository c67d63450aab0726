"""What training reaches inside a model, whatever kind of system it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoprose.models.inputs import VisualInputs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn


def body_of(model: Any) -> nn.Module:
    """Return the module whose children are the parts: the backbone of a composite, else the model itself."""
    body: nn.Module = model.model if hasattr(model, "model") else model
    return body


def picture_encoder(model: Any) -> Any:
    """Return the part that reads pixels: the vision encoder of a composite, the vision tower of two towers."""
    body: Any = body_of(model)
    return body.vision_encoder if hasattr(body, "vision_encoder") else body.vision


def pictures_train(model: Any) -> bool:
    """Tell whether the part that reads pixels trains."""
    return any(parameter.requires_grad for parameter in picture_encoder(model).parameters())


def picture_features(model: Any, batch: Mapping[str, Any]) -> Tensor:
    """Return the features (N, P, E) of a batch: cached ones, or those of its pixels, with gradient.

    P is 1 where a tower pools its patches.
    """
    features = batch.get("vision_features")
    if features is None:
        features = picture_encoder(model).encode(VisualInputs(pixel_values=batch["pixel_values"]))
    return features  # type: ignore[no-any-return]
