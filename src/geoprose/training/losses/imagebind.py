"""Another modality joins the space of the pictures (ImageBind)."""

# N pairs of this process, J width of the joint space

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch.nn import functional as F

from geoprose.core.errors import ConfigError, DataError
from geoprose.layout.modalities import input_name
from geoprose.models.dual.losses import softmax_contrastive_sum
from geoprose.models.inputs import VisualInputs
from geoprose.training.access import picture_features
from geoprose.training.losses.pairs import PairLoss, matches
from geoprose.training.pictures.visuals import media_files, read_media
from geoprose.training.processes.distributed import gather_with_grad

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from geoprose.data.mixture import Unit
    from geoprose.training.losses.base import Batch, Forward, LossContext


class ImagebindInfonceLoss(PairLoss):
    """``(CE(s / tau) + CE(s^T / tau)) / 2`` between the joint vectors of pictures and of another modality.

    The recipe freezes the tower of the pictures (its vectors are then read from the cache) and trains that of the
    modality: the pictures hold the space in place.

    Raises:
        ConfigError: If the system has no such branch, or its encoders do not end in one space.

    Source:
        ImageBind, arXiv:2305.05665, equation 1 and its symmetric form.
    """

    kinds = ("composite",)

    def __init__(self, spec: Any, context: LossContext) -> None:
        super().__init__(spec, context)
        body, name = context.system.model.model, context.system.spec.name
        branches = body.branches if body.branches is not None else {}
        if spec.modality not in branches or branches[spec.modality].encoder is None:
            raise ConfigError(
                f"Loss imagebind_infonce: system {name} has no encoder of its own for {spec.modality!r}; its branches "
                f"are {', '.join(branches) or 'none'}."
            )
        encoders = (body.vision_encoder, branches[spec.modality].encoder)
        if {encoder.num_patches() for encoder in encoders} != {1} or len({e.hidden_size for e in encoders}) != 1:
            raise ConfigError(
                f"Loss imagebind_infonce: pictures and {spec.modality} of {name} do not end in one vector of one "
                "width. Use encoders of type imagebind with output: embedding."
            )

    def partner_of(self, pair: Unit) -> str:
        """Return the path of the sample's input of the modality.

        Raises:
            DataError: If it has none, or several.
        """
        (sample,) = pair.samples
        files = media_files(sample, Path(pair.root)).get(self.spec.modality, [])
        if len(files) != 1:
            raise DataError(
                f"Sample {sample.id}: meta['media'] names {len(files)} files of {self.spec.modality}; a pair has one."
            )
        return str(files[0])

    def encode_partners(self, names: Sequence[str]) -> dict[str, Tensor]:
        """Return the inputs of the modality (N, ...)."""
        return read_media({self.spec.modality: [Path(name) for name in names]})

    def num_tokens(self, batch: Batch) -> int:
        """Return the number of inputs."""
        return len(batch[input_name(self.spec.modality)])

    def loss_sum(self, forward: Forward) -> Tensor:
        """Return the sum over the pairs of this process, against the pairs of all."""
        found = matches(forward.batch, self.spec)
        encoder = forward.model.model.branches.branch(self.spec.modality).encoder
        values = forward.batch[input_name(self.spec.modality)].to(next(encoder.parameters()).dtype)
        others_NJ = F.normalize(encoder.encode(VisualInputs(pixel_values=values))[:, 0], dim=-1)
        features = forward.once("picture_features", lambda: picture_features(forward.model, forward.batch))
        pictures_NJ = F.normalize(features[:, 0].to(others_NJ.dtype), dim=-1)
        masks = (found.is_positive_NM, found.is_ignored_NM)
        to_others_NM = pictures_NJ @ gather_with_grad(others_NJ).T / self.spec.temperature
        to_pictures_NM = others_NJ @ gather_with_grad(pictures_NJ).T / self.spec.temperature
        return (softmax_contrastive_sum(to_others_NM, *masks) + softmax_contrastive_sum(to_pictures_NM, *masks)) / 2
