"""Start a Q-Former from BERT, as BLIP-2's first stage does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from geoprose.core.errors import ConfigError, ResourceError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from geoprose.models.parts.connectors.qformer import QFormerConnector

_TABLES = {"word_embeddings.weight": "words.word_embeddings.weight",
           "position_embeddings.weight": "words.position_embeddings.weight"}  # fmt: skip
_HEAD = {"transform.dense": "transform", "transform.LayerNorm": "norm"}


def start_from_bert(qformer: QFormerConnector, word_head: Any, folder: Path) -> None:
    """Put BERT's weights into self-attention, both feed-forwards, words and word head, in place.

    Cross-attention and queries stay as they were drawn, and so does the row of ``[DEC]``. BERT's token types are left
    out: the Q-Former has none.

    Args:
        qformer: One with words.
        word_head: Its ``WordHead``.
        folder: A BERT for masked words, in the layout of transformers.

    Raises:
        ResourceError: If there is none that can be read.
        ConfigError: If it has other sizes than the Q-Former.

    Source:
        BLIP-2, arXiv:2301.12597, section 3.1; salesforce/LAVIS ``blip2_qformer.py`` copies the feed-forwards of the
        words to those of the queries.
    """
    ours = {**dict(qformer.named_parameters()), **{f"head.{name}": p for name, p in word_head.named_parameters()}}
    with torch.no_grad():
        for name, tensor in _published(folder).items():
            for key in _keys(name):
                target = ours.get(key)
                rows = slice(0, len(tensor)) if key.startswith("words.") or key == "head.bias" else slice(None)
                if target is None or target[rows].shape != tensor.shape:
                    raise ConfigError(
                        f"{folder} does not fit the Q-Former: {name} is {tuple(tensor.shape)}, wanted "
                        f"{None if target is None else tuple(target.shape)} for {key}. Use a BERT of the same sizes."
                    )
                target[rows] = tensor.to(target)


def _published(folder: Path) -> dict[str, Tensor]:
    from transformers import BertForMaskedLM

    try:
        bert = BertForMaskedLM.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    except (OSError, ValueError) as error:
        raise ResourceError(f"{folder} holds no BERT that can be read: {error}") from error
    return dict(bert.named_parameters())


def _keys(name: str) -> list[str]:
    """Return where a weight of BERT goes: nowhere, to one place, or to words and queries."""
    place = name.removeprefix("bert.").removeprefix("cls.predictions.")
    if name.startswith("cls."):
        base, _, kind = place.rpartition(".")
        return [f"head.{_HEAD[base]}.{kind}" if base else f"head.{kind}"]
    if place.startswith("embeddings."):
        table = place.removeprefix("embeddings.")
        if table.startswith("LayerNorm"):
            return [f"body.layernorm.{table.rpartition('.')[2]}"]
        return [_TABLES[table]] if table in _TABLES else []
    key = f"body.{place.replace('attention.self.', 'attention.attention.')}"
    parts = key.split(".")  # body.encoder.layer.N.intermediate...
    if parts[4] not in ("intermediate", "output"):
        return [key]
    return [key, ".".join([*parts[:4], f"{parts[4]}_query", *parts[5:]])]
