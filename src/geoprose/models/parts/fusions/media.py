"""Which picture a token of the text may look at; shared by the fusions that cross-attend.

Shapes: B batch, T text length of this pass, M visual tokens of a row (padded), E their width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import torch

from geoprose.core.errors import ConfigError, ProcessingError

if TYPE_CHECKING:
    from torch import Tensor

    from geoprose.models.inputs import TextInputs, Visuals

Visible = Literal["last", "group", "all"]
"""What a token sees: the last picture before it (Flamingo); the last run of adjacent pictures (Mllama); all of them."""

_SEEN, _FIRST, _PICTURE = "media_seen", "media_first", "media_picture"


def checked_visible(visible: str) -> Visible:
    """Return ``visible``.

    Raises:
        ConfigError: If it is none of the choices.
    """
    for choice in get_args(Visible):
        if visible == choice:
            return choice  # type: ignore[no-any-return]
    raise ConfigError(f"fusion.visible {visible!r} is unknown. Known: {', '.join(get_args(Visible))}.")


@dataclass(frozen=True)
class Media:
    """The visual tokens that came with this pass, by row of the text.

    Attributes:
        tokens_BME: Padded with zeros.
        picture_BM: 1, 2, ... for the pictures of a row in order, counted on from earlier passes; 0 for padding.
    """

    tokens_BME: Tensor
    picture_BM: Tensor


def gather(text: TextInputs, visuals: Visuals) -> Media:
    """Give each row its pictures: as many as it has placeholders, in batch order.

    Raises:
        ProcessingError: If pictures and placeholders differ in number.
    """
    per_row = text.is_visual_BT.sum(-1).tolist()
    if sum(per_row) != len(visuals.tokens):
        raise ProcessingError(
            f"The token ids hold {sum(per_row)} image placeholders but {len(visuals.tokens)} pictures were given; this "
            "fusion takes one placeholder per picture. Encode text and pictures with the same processor."
        )
    seen_before = text.state.get(_SEEN)
    rows, owners, place = [], [], 0
    for row, count in enumerate(per_row):
        first = 1 if seen_before is None else int(seen_before[row]) + 1
        tokens = visuals.tokens[place : place + count]
        rows.append(torch.cat(list(tokens)) if count else text.embeds_BTD.new_zeros(0, visuals.tokens[0].shape[-1]))
        sizes = torch.tensor([len(run) for run in tokens], dtype=torch.long)
        owners.append(torch.arange(first, first + count).repeat_interleave(sizes).to(rows[-1].device))
        place += count
    pad = torch.nn.utils.rnn.pad_sequence
    return Media(pad([row.to(text.embeds_BTD.dtype) for row in rows], batch_first=True), pad(owners, batch_first=True))


def see(text: TextInputs, media: Media | None, visible: Visible) -> Tensor | None:
    """Return who sees what (B, T, M), over the pictures of this pass and of earlier ones; None without any picture.

    The counts that later passes need go into ``text.state``.

    Raises:
        ProcessingError: If a placeholder stands for a picture that was never given.
    """
    is_visual_BT = text.is_visual_BT
    state = text.state
    zero_B = torch.zeros(is_visual_BT.shape[0], dtype=torch.long, device=is_visual_BT.device)
    seen_BT = state.get(_SEEN, zero_B)[:, None] + is_visual_BT.long().cumsum(-1)
    before_BT = torch.nn.functional.pad(is_visual_BT, (1, 0))[:, :-1]
    starts_BT = torch.where(is_visual_BT & ~before_BT, seen_BT, 0)
    first_BT = torch.maximum(starts_BT.cummax(-1).values, state.get(_FIRST, zero_B)[:, None])
    state[_SEEN], state[_FIRST] = seen_BT[:, -1], first_BT[:, -1]
    if media is not None:
        known = state.get(_PICTURE)
        state[_PICTURE] = media.picture_BM if known is None else torch.cat([known, media.picture_BM], dim=-1)
    picture_BM: Tensor | None = state.get(_PICTURE)
    if picture_BM is None:
        if bool(is_visual_BT.any()):
            raise ProcessingError("The text holds image placeholders but no picture was given; pass pixel_values.")
        return None
    first = {"last": seen_BT, "group": first_BT, "all": torch.ones_like(seen_BT)}[visible]
    numbers_B1M = picture_BM[:, None]
    visible_BTM: Tensor = (numbers_B1M > 0) & (numbers_B1M >= first[..., None]) & (numbers_B1M <= seen_BT[..., None])
    return visible_BTM
