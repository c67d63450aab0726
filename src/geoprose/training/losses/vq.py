"""Train an image tokenizer: codes that a decoder can turn back into the picture."""

# N pictures, C channels of z, h w the grid of codes

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch.nn import functional as F
from transformers import JanusVQVAE

from geoprose.core.errors import ConfigError
from geoprose.training.losses.base import Batch, Forward, LossContext, StageLoss

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Quantised:
    """What a quantiser makes of a map.

    Attributes:
        straight: ``z + sg(e - z)``: the values of the code vectors with the gradient of ``z``.
        codebook: ``mean (sg(z) - e)^2``: draws the code vectors to what they stand for.
        commitment: ``mean (z - sg(e))^2``: draws the encoder to its code vectors.
        codes: Index of the nearest code vector at each place.
    """

    straight: Tensor
    codebook: Tensor
    commitment: Tensor
    codes: Tensor


def quantise(z_NChw: Tensor, codebook_KC: Tensor) -> Quantised:
    """Return the nearest code vectors of a map, and the losses that bring both together.

    Transformers' ``embedding_loss`` of Janus is commitment + beta * codebook (the weights of the taming code); the
    paper has codebook + beta * commitment.

    Source:
        VQ-VAE, arXiv:1711.00937, equations 1 to 3.
    """
    z_NhwC = z_NChw.permute(0, 2, 3, 1)
    flat_MC = z_NhwC.reshape(-1, z_NhwC.shape[-1])
    distances_MK = flat_MC.square().sum(1, keepdim=True) + codebook_KC.square().sum(1) - 2 * flat_MC @ codebook_KC.T
    codes_M = distances_MK.argmin(1)
    nearest = codebook_KC[codes_M].reshape(z_NhwC.shape).permute(0, 3, 1, 2)
    return Quantised(
        z_NChw + (nearest - z_NChw).detach(),
        F.mse_loss(nearest, z_NChw.detach()),
        F.mse_loss(z_NChw, nearest.detach()),
        codes_M.reshape(z_NhwC.shape[:-1]),
    )


def straight_through_norm(straight_NChw: Tensor) -> Tensor:
    """Return unit vectors at every place with the gradient passed on unchanged: Janus decodes normalised codes."""
    return straight_NChw + (F.normalize(straight_NChw, dim=1) - straight_NChw).detach()


class VqCommitmentLoss(StageLoss):
    """``codebook + beta commitment + w mean |x - x'|`` of each picture.

    Raises:
        ConfigError: If the system has no tokenizer that can be trained here.
    """

    feed = "pictures"
    kinds = ("composite",)
    needs_text = False
    needs_pixels = True

    def __init__(self, spec: Any, context: LossContext) -> None:
        super().__init__(spec, context)
        if find_tokenizer(context.system.model) is None:
            raise ConfigError(
                f"Loss vq_commitment needs an image tokenizer whose encoder and decoder transformers has; "
                f"{context.system.spec.name} has none. Use janus; those of Emu3 and Chameleon lack a way from code "
                "vectors to pixels that gradients pass."
            )

    def num_items(self, batch: Batch) -> float:
        """Return the number of pictures."""
        return float(len(batch["pixel_values"]))

    def loss_sum(self, forward: Forward) -> Tensor:
        """Return the sum over pictures; encoder, codebook and decoder get gradients."""
        tower: Any = find_tokenizer(forward.model)
        pixels = forward.batch["pixel_values"].to(next(tower.parameters()).dtype)
        side = tower.quantize.quant_state_dims[0] * 2 ** (len(tower.config.channel_multiplier) - 1)
        if pixels.shape[-1] != side:  # the system reads its pictures at another size than its tokenizer
            pixels = F.interpolate(pixels, size=(side, side), mode="bilinear", align_corners=False, antialias=True)
        found = quantise(tower.quant_conv(tower.encoder(pixels)), tower.quantize.embedding.weight)
        painted = tower.decoder(tower.post_quant_conv(straight_through_norm(found.straight)))
        error = F.l1_loss(painted, pixels)
        total = found.codebook + self.spec.beta * found.commitment + self.spec.reconstruction_weight * error
        loss: Tensor = total * len(pixels)
        return loss


def find_tokenizer(model: nn.Module) -> JanusVQVAE | None:
    """Return the first image tokenizer of a model with both halves, or None."""
    return next((module for module in model.modules() if isinstance(module, JanusVQVAE)), None)
