"""What a stage sets before its first step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from geoprose.core.errors import ConfigError
from geoprose.core.registry import unknown_name_message
from geoprose.training.losses.supervision import token_cover, word_embeddings
from geoprose.training.pictures.features import Features, input_statistics
from geoprose.training.specs.prepare import DirectionWordsSpec, PrepareSpec, WordSpanSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def prepare(
    system: Any, steps: Sequence[PrepareSpec], store: Features | None, digests: Sequence[str], seed: int = 0
) -> None:
    """Apply the stage's ``prepare`` list in order.

    Args:
        system: Changed in place.
        steps: Entries of the recipe.
        store: Cached features.
        digests: Images of the stage's training samples.
        seed: Seed of what is drawn.
    """
    for step in steps:
        if isinstance(step, DirectionWordsSpec):
            set_direction_words(system, step)
        elif isinstance(step, WordSpanSpec):
            set_word_span(system, step, seed)
        else:
            _set_statistics(system, store, digests)


def _set_statistics(system: Any, store: Features | None, digests: Sequence[str]) -> None:
    if store is None:
        raise ConfigError("prepare: input_statistics needs a frozen vision encoder and its cached features.")
    setter: Callable[[Tensor, Tensor], None] | None = getattr(
        system.model.model.connector, "set_input_statistics", None
    )
    if setter is None:
        raise ConfigError("prepare: input_statistics needs a connector with input_norm: standardise.")
    setter(*input_statistics(store, digests))


def set_direction_words(system: Any, step: DirectionWordsSpec) -> None:
    """Start the position vector of each cell from the words for its place.

    With ``tokens`` the vector of a token is ``scale`` times the mean embedding of its words. Else that of a cell is
    ``scale * ((v - mean v) + (h - mean h))``, where ``v`` is the word embedding for its row and ``h`` for its column,
    each interpolated linearly over the given words; centring keeps the mean token where it is. A token
    that covers several cells takes the mean of theirs.

    Raises:
        ConfigError: If the connector has no position vectors.
    """
    connector = system.model.model.connector
    vectors = getattr(connector, "position_vectors", None)
    if vectors is None:
        raise ConfigError("prepare: direction_words needs a connector with a position_grid.")
    if step.tokens:
        start = _token_vectors(system, step, vectors.shape[0])
        scales = [step.token_scales.get(index, step.scale) for index in range(len(start))]
        with torch.no_grad():
            vectors.copy_(torch.tensor(scales)[:, None] * start)
        return
    places, cover = token_cover(connector, system.model.model.num_visual_tokens)
    cover_US = torch.from_numpy(cover).double()
    side = round(cover_US.shape[1] ** 0.5)
    rows = interpolate_words(word_embeddings(system, step.vertical), side)
    columns = interpolate_words(word_embeddings(system, step.horizontal), side)
    cells = (rows - rows.mean(0))[:, None] + (columns - columns.mean(0))[None, :]
    with torch.no_grad():
        vectors[torch.from_numpy(places)] = (step.scale * cover_US @ cells.reshape(side * side, -1)).to(vectors.dtype)


def set_word_span(system: Any, step: WordSpanSpec, seed: int) -> None:
    """Start the named layers inside the span of the words, see ``WordSpanSpec``.

    Raises:
        ConfigError: If the connector has no such linear layer of the language model's width.
    """
    embeddings_CD = word_embeddings(system, step.words).float()
    deviation = float(system.model.get_input_embeddings().weight.detach().float().std())
    linears = {name: part for name, part in system.model.model.connector.named_modules() if isinstance(part, nn.Linear)}
    for name, gain in step.layers.items():
        if name not in linears or linears[name].out_features != embeddings_CD.shape[1]:
            raise ConfigError(unknown_name_message("word_span layer of the connector", name, linears))
        layer = linears[name]
        random = torch.Generator().manual_seed(seed)
        mix = torch.randn(len(embeddings_CD), layer.in_features, generator=random) / layer.in_features**0.5
        with torch.no_grad():
            layer.weight.copy_(gain * embeddings_CD.T @ mix / deviation)
            layer.bias.copy_(step.bias_share * embeddings_CD.mean(0) / deviation)


def _token_vectors(system: Any, step: DirectionWordsSpec, num_tokens: int) -> Tensor:
    if len(step.tokens) != num_tokens:
        raise ConfigError(
            f"prepare: direction_words lists {len(step.tokens)} tokens; the connector has {num_tokens} positions."
        )
    return torch.stack([word_embeddings(system, words).mean(0) for words in step.tokens])


def interpolate_words(embeddings_CD: Tensor, side: int) -> Tensor:
    """Spread C embeddings evenly over ``side`` places, linearly between neighbours: (side, D)."""
    count = embeddings_CD.shape[0]
    if count == 1 or side == 1:
        return embeddings_CD.mean(0, keepdim=True).expand(side, -1).clone()
    place = torch.arange(side, dtype=torch.float64) * (count - 1) / (side - 1)
    low = place.floor().long().clamp(max=count - 2)
    share = (place - low).unsqueeze(1).to(embeddings_CD.dtype)
    return embeddings_CD[low] * (1 - share) + embeddings_CD[low + 1] * share
