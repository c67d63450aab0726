"""What BLIP-2's first stage trains beside the Q-Former: words, heads, and who may see whom.

Shapes: N pairs, Q queries, T text tokens, S = Q + T, H width of the Q-Former, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from geoprose.core.errors import ConfigError
from geoprose.models.parts.connectors.qformer import QUERY_STD, QFormerConnector
from geoprose.models.parts.heads.image_text import ImageTextHeads
from geoprose.training.losses.qformer_bert import start_from_bert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.training.losses.base import LossContext
    from geoprose.training.specs.loss_contrastive import QFormerLossSpec

Sight = Literal["apart", "together", "causal"]
"""Who sees whom: ``apart`` for contrast, ``together`` for matching, ``causal`` for generation."""

START_TOKEN = "[DEC]"  # noqa: S105 - a token of text
_MAX_POSITIONS = 512


def sight_mask(sight: Sight, num_queries: int, text_mask_NT: Tensor) -> Tensor:
    """Return who may attend to whom, (N, S, S), True where row may see column; queries come first.

    ``apart``: queries see queries, words see words. ``together``: all see all. ``causal``: queries see queries, a word
    sees all queries, itself and the words before it. Nobody sees padding, except padding itself.

    Source:
        BLIP-2, arXiv:2301.12597, figure 2; masks of UniLM, arXiv:1905.03197.
    """
    num_pairs, length = text_mask_NT.shape
    is_query_S = torch.arange(num_queries + length, device=text_mask_NT.device) < num_queries
    row, column = is_query_S[:, None], is_query_S[None, :]
    words = ~row & ~column
    if sight == "together":
        allowed_SS = torch.ones_like(words)
    elif sight == "apart":
        allowed_SS = (row & column) | words
    else:
        allowed_SS = (row & column) | (~row & column) | (words & torch.ones_like(words).tril())
    real_NS = torch.cat([is_query_S[:num_queries].expand(num_pairs, -1), text_mask_NT.bool()], dim=1)
    is_self_SS = torch.eye(len(is_query_S), dtype=torch.bool, device=text_mask_NT.device)
    return (allowed_SS & real_NS[:, None, :]) | is_self_SS


class WordHead(nn.Module):
    """States of words to logits over the vocabulary: ``E LN(gelu(W h + b)) + c``, E the word embeddings.

    Source:
        BERT, arXiv:1810.04805, masked-word head; BLIP-2 generates with it.
    """

    def __init__(self, words: nn.Embedding) -> None:
        super().__init__()
        width = words.embedding_dim
        self.transform = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.bias = nn.Parameter(torch.zeros(words.num_embeddings))
        self._table = (words,)  # Why a tuple: the table is trained under its own name, not a second time here.

    def forward(self, hidden_KH: Tensor) -> Tensor:
        """Return logits (K, V)."""
        return F.linear(self.norm(F.gelu(self.transform(hidden_KH))), self._table[0].weight, self.bias)


@dataclass(frozen=True)
class QFormerWords:
    """The Q-Former as the first stage reads it.

    Attributes:
        qformer: The system's connector, or one with words that shares all of its weights.
        heads: Contrast and matching.
        word_head: Generation.
        extra: Weights that the connector itself does not have, by name; they train with the stage.
        tokenizer: Cuts captions.
        max_tokens: Tokens kept of a caption.
    """

    qformer: QFormerConnector
    heads: ImageTextHeads
    word_head: WordHead
    extra: dict[str, nn.Parameter]
    tokenizer: Any
    max_tokens: int

    @property
    def start_id(self) -> int:
        """Token that begins a caption that is to be generated: ``[DEC]``, else the row behind the vocabulary."""
        known = self.tokenizer.convert_tokens_to_ids(START_TOKEN)
        return len(self.tokenizer) if known in (None, self.tokenizer.unk_token_id) else int(known)

    def train(self, mode: bool) -> None:
        """Bring what the model does not own into its mode."""
        self.qformer.train(mode)

    def encode(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Return ``text_ids`` and ``text_mask`` (N, T): start, words, end, padded on the right."""
        tokenizer = self.tokenizer
        start = _first_id(tokenizer, "cls_token_id", "bos_token_id")
        end = _first_id(tokenizer, "sep_token_id", "eos_token_id")
        rows = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
        rows = [[start, *row[: self.max_tokens - 2], end] for row in rows]
        longest = max(len(row) for row in rows)
        mask = [[1] * len(row) + [0] * (longest - len(row)) for row in rows]
        ids = [row + [0] * (longest - len(row)) for row in rows]
        return {"text_ids": torch.tensor(ids), "text_mask": torch.tensor(mask)}


def qformer_words(spec: QFormerLossSpec, context: LossContext) -> QFormerWords:
    """Return what the losses of a stage share; the first one makes it.

    Raises:
        ConfigError: If the connector is no Q-Former, or two losses say different things of the words.
    """
    said = (spec.tokenizer, spec.bert, spec.max_tokens, spec.shared_size)
    made = context.shared.get("qformer_words")
    if made is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(context.seed)
            made = (said, _make(spec, context.system))
        context.shared["qformer_words"] = made
    if made[0] != said:
        raise ConfigError(
            f"The losses itc, itm and itg of a stage share one set of words; {spec.type} says (tokenizer, bert, "
            f"max_tokens, shared_size) = {said}, another one {made[0]}. Give all of them the same."
        )
    words: QFormerWords = made[1]
    return words


def _make(spec: QFormerLossSpec, system: Any) -> QFormerWords:
    connector = system.model.model.connector
    if not isinstance(connector, QFormerConnector):
        raise ConfigError(
            f"Loss {spec.type} trains a Q-Former; the connector of {system.spec.name} is "
            f"{system.spec.connector.type}. Use a system such as blip2-opt."
        )
    tokenizer = _tokenizer(spec, system)
    qformer, extra = connector, {}
    if connector.words is None:
        qformer = with_words(connector, len(tokenizer) + 1)
        own = {id(parameter) for parameter in connector.parameters()}
        extra = {name: value for name, value in qformer.named_parameters() if id(value) not in own}
    assert qformer.words is not None
    heads = ImageTextHeads(qformer.query_tokens.shape[-1], spec.shared_size)
    table = qformer.words.word_embeddings
    words = QFormerWords(qformer, heads, WordHead(table), extra, tokenizer, spec.max_tokens)
    if words.start_id >= table.num_embeddings:
        raise ConfigError(
            f"The Q-Former of {system.spec.name} has {table.num_embeddings} words, none left for {START_TOKEN} behind "
            f"the {len(tokenizer)} of its tokenizer. Set connector.vocab_size to {len(tokenizer) + 1}."
        )
    if spec.bert:
        start_from_bert(qformer, words.word_head, Path(spec.bert))
    return words


def with_words(connector: QFormerConnector, vocab_size: int) -> QFormerConnector:
    """Return a Q-Former that reads words and shares every weight of one that does not.

    The feed-forwards of the words start as copies of those of the queries: both come from BERT's.

    Source:
        BLIP-2's first stage has both halves; its second throws the words away (salesforce/LAVIS ``blip2_qformer.py``,
        ``blip2_opt.py``).
    """
    config = connector.body.config
    reader = QFormerConnector(
        connector.in_size, connector.out_size, connector.query_tokens.shape[1], config.hidden_size,
        config.num_hidden_layers, config.num_attention_heads, config.intermediate_size,
        config.cross_attention_frequency, config.hidden_dropout_prob, True, vocab_size, _MAX_POSITIONS,
    )  # fmt: skip
    assert reader.words is not None
    for table in (reader.words.word_embeddings, reader.words.position_embeddings):
        nn.init.normal_(table.weight, std=QUERY_STD)
    reader.query_tokens, reader.projection = connector.query_tokens, connector.projection
    reader.body.layernorm = connector.body.layernorm
    for layer, theirs in zip(reader.body.encoder.layer, connector.body.encoder.layer, strict=True):
        for name, module in theirs.named_children():
            setattr(layer, name, module)
        layer.intermediate.load_state_dict(theirs.intermediate_query.state_dict())
        layer.output.load_state_dict(theirs.output_query.state_dict())
    return reader.train(connector.training)


def _tokenizer(spec: QFormerLossSpec, system: Any) -> Any:
    if spec.tokenizer or spec.bert:
        from geoprose.systems.pretrained import load_tokenizer_from

        return load_tokenizer_from(Path(spec.tokenizer or spec.bert))
    return system.processor.condition_tokenizer or system.processor.tokenizer


def _first_id(tokenizer: Any, *names: str) -> int:
    return next(int(value) for name in names if (value := getattr(tokenizer, name, None)) is not None)
