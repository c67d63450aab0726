"""How many visual tokens a tile becomes."""

from __future__ import annotations

from geoprose.core.errors import ConfigError


def grid_side(image_size: int, patch_size: int, pool: int = 1, crop_remainder: bool = False) -> int:
    """Return the patches along one edge of a square tile, after average pooling by ``pool``.

    ``crop_remainder`` allows a rim narrower than a patch that no patch sees (SigLIP so400m: 384 px and 14 px).

    Raises:
        ConfigError: If the sizes do not divide.
    """
    if image_size % patch_size and not crop_remainder:
        raise ConfigError(
            f"An image size of {image_size} px is not a multiple of the patch size {patch_size} px; "
            f"the nearest sizes are {image_size // patch_size * patch_size} and "
            f"{(image_size // patch_size + 1) * patch_size}."
        )
    side = image_size // patch_size
    if side % pool:
        raise ConfigError(f"A grid of {side}x{side} patches cannot be pooled by {pool}; choose a divisor of {side}.")
    return side // pool


def num_visual_tokens(
    image_size: int, patch_size: int, unshuffle_factor: int = 1, pool: int = 1, crop_remainder: bool = False
) -> int:
    """Return the visual tokens of one square tile.

    Args:
        image_size: Side of the tile, pixels.
        patch_size: Side of a patch, pixels.
        unshuffle_factor: ``f`` when the connector merges ``f * f`` neighbouring patches into one token.
        pool: ``p`` when the encoder's output is averaged over ``p * p`` patches first.
        crop_remainder: See ``grid_side``.

    Raises:
        ConfigError: If the sizes do not divide.
    """
    side = grid_side(image_size, patch_size, pool, crop_remainder)
    if side % unshuffle_factor:
        raise ConfigError(
            f"A grid of {side}x{side} patches cannot be unshuffled by {unshuffle_factor}; choose a divisor of {side}."
        )
    return (side // unshuffle_factor) ** 2
