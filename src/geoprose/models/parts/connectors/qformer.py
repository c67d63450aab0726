"""The Q-Former: learned queries that read the patches of a tile by cross-attention, and an instruction if there is one.

Shapes: N tiles, P patches, E encoder width, Q queries, H width of the Q-Former, T instruction tokens,
D language-model width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from transformers import Blip2QFormerConfig, Blip2QFormerModel

from geoprose.core.errors import ProcessingError
from geoprose.models.parts.contracts import Connector

if TYPE_CHECKING:
    from geoprose.models.inputs import VisualInputs

QUERY_STD = 0.02


class WordEmbeddings(nn.Module):
    """Words of the instruction: token plus position vectors, not yet normalised.

    Args:
        vocab_size: Rows of the vocabulary (BERT's 30522 and ``[DEC]``).
        hidden_size: Width H.
        max_positions: Longest instruction.
    """

    def __init__(self, vocab_size: int, hidden_size: int, max_positions: int) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(vocab_size, hidden_size, padding_idx=0)
        self.position_embeddings = nn.Embedding(max_positions, hidden_size)

    def forward(self, ids_NT: Tensor) -> Tensor:
        """Return vectors (N, T, H).

        Raises:
            ProcessingError: If the text is longer than the position table.
        """
        length, longest = ids_NT.shape[1], self.position_embeddings.num_embeddings
        if length > longest:
            raise ProcessingError(f"The Q-Former reads at most {longest} tokens of text, got {length}; shorten it.")
        positions = torch.arange(length, device=ids_NT.device)
        vectors: Tensor = self.word_embeddings(ids_NT) + self.position_embeddings(positions)
        return vectors


class QFormerConnector(Connector):
    """Queries through a BERT with cross-attention to the patches, then one linear layer.

    With ``z`` the queries and ``t`` the words, layer by layer (post-norm):
    ``[z; t] = LN([z; t] + SelfAttn([z; t]))``, then every ``cross_attention_frequency``-th layer
    ``z = LN(z + CrossAttn(z, patches))``, then ``z = LN(z + FFN_q(z))`` and ``t = LN(t + FFN_t(t))``. The visual tokens
    are ``W z + b``. In a connector with ``condition`` the last ``FFN_t`` is published but never read, so its
    gradient is zero.

    Args:
        in_size: Width of a patch feature.
        out_size: Width of the language model.
        num_queries: Q; also the visual tokens of a tile.
        hidden_size: Width H.
        num_layers: Layers of the BERT.
        num_heads: Attention heads.
        intermediate_size: Width inside an FFN.
        cross_attention_frequency: Layers 0, f, 2f, ... read the patches.
        dropout: Probability in attention and behind every sublayer.
        condition: Whether the instruction enters (InstructBLIP) or the picture alone decides (BLIP-2).
        vocab_size: Rows of the instruction's vocabulary.
        max_positions: Longest instruction.

    Source:
        BLIP-2 arXiv:2301.12597 section 3.1; InstructBLIP arXiv:2305.06500 section 2.3; reference code salesforce/LAVIS
        ``Qformer.py``.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - flat keyword arguments are the contract of parts
        self,
        in_size: int,
        out_size: int,
        num_queries: int = 32,
        hidden_size: int = 768,
        num_layers: int = 12,
        num_heads: int = 12,
        intermediate_size: int = 3072,
        cross_attention_frequency: int = 2,
        dropout: float = 0.1,
        condition: bool = False,
        vocab_size: int = 30523,
        max_positions: int = 512,
    ) -> None:
        super().__init__(in_size, out_size)
        self.in_size = in_size
        self.out_size = out_size
        self.query_tokens = nn.Parameter(torch.zeros(1, num_queries, hidden_size))
        self.words = WordEmbeddings(vocab_size, hidden_size, max_positions) if condition else None
        config = Blip2QFormerConfig(
            hidden_size=hidden_size,
            num_hidden_layers=num_layers,
            num_attention_heads=num_heads,
            intermediate_size=intermediate_size,
            cross_attention_frequency=cross_attention_frequency,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            encoder_hidden_size=in_size,
            use_qformer_text_input=condition,
        )
        self.body = Blip2QFormerModel._from_config(config)
        self.projection = nn.Linear(hidden_size, out_size)

    def forward(
        self, features_NPE: Tensor, condition_ids: Tensor | None = None, condition_mask: Tensor | None = None
    ) -> Tensor:
        """Return visual tokens (N, Q, D)."""
        tokens: Tensor = self.projection(self.queries(features_NPE, condition_ids, condition_mask))
        return tokens

    def connect(self, features: Tensor, inputs: VisualInputs) -> Tensor:
        """Return the visual tokens of the batch (N, Q, D), the instruction of each tile read with it."""
        return self(features, inputs.condition_ids, inputs.condition_mask)  # type: ignore[no-any-return]

    def queries(
        self, features_NPE: Tensor, condition_ids: Tensor | None = None, condition_mask: Tensor | None = None
    ) -> Tensor:
        """Return the queries after the last layer (N, Q, H).

        Args:
            features_NPE: Patch features.
            condition_ids: Instruction of each tile (N, T); required with ``condition``, refused without.
            condition_mask: 1 for its real tokens (N, T); all of them by default.

        Raises:
            ProcessingError: If the instruction is missing, not wanted, or does not fit the tiles.
        """
        queries_NQH = self.query_tokens.expand(len(features_NPE), -1, -1)
        num_queries = queries_NQH.shape[1]
        mask = None
        if self.words is not None:
            words_NTH, mask = self._read(condition_ids, condition_mask, len(features_NPE))
            queries_NQH = torch.cat([queries_NQH, words_NTH.to(queries_NQH.dtype)], dim=1)
        elif condition_ids is not None:
            raise ProcessingError(
                "This Q-Former reads no instruction; leave condition_ids out, or set connector.condition to true."
            )
        outputs = self.body(
            query_embeds=queries_NQH,
            query_length=num_queries,
            attention_mask=mask,
            encoder_hidden_states=features_NPE,
        )
        hidden: Tensor = outputs.last_hidden_state[:, :num_queries]
        return hidden

    def read_picture(self, features_NPE: Tensor) -> Tensor:
        """Return the queries after the last layer (N, Q, H) when they see the picture and no word."""
        queries_NQH = self.query_tokens.expand(len(features_NPE), -1, -1)
        outputs = self.body(query_embeds=queries_NQH, encoder_hidden_states=features_NPE)
        hidden: Tensor = outputs.last_hidden_state
        return hidden

    def read_text(self, ids_NT: Tensor, mask_NT: Tensor | None = None) -> Tensor:
        """Return the words alone after the last layer (N, T, H); they see neither queries nor a picture.

        Raises:
            ProcessingError: If this connector has no words.
        """
        if self.words is None:
            raise ProcessingError("This Q-Former has no words; set connector.condition to true.")
        outputs = self.body(query_embeds=self.words(ids_NT), query_length=0, attention_mask=mask_NT)
        hidden: Tensor = outputs.last_hidden_state
        return hidden

    def read_both(self, features_NPE: Tensor, ids_NT: Tensor, sight_NSS: Tensor) -> Tensor:
        """Return queries and words after the last layer (N, Q + T, H), each seeing what ``sight_NSS`` lets it see.

        Args:
            features_NPE: Patch features, which only the queries read.
            ids_NT: Words.
            sight_NSS: True where a row may attend to a column, queries first (N, Q + T, Q + T).

        Raises:
            ProcessingError: If this connector has no words.
        """
        if self.words is None:
            raise ProcessingError("This Q-Former has no words; set connector.condition to true.")
        queries_NQH = self.query_tokens.expand(len(features_NPE), -1, -1)
        both_NSH = torch.cat([queries_NQH, self.words(ids_NT).to(queries_NQH.dtype)], dim=1)
        # Contract: a mask of four axes is taken as it is, added to the scores.
        mask = torch.zeros(sight_NSS.shape, dtype=both_NSH.dtype, device=both_NSH.device)
        mask = mask.masked_fill(~sight_NSS, torch.finfo(both_NSH.dtype).min).unsqueeze(1)
        outputs = self.body(
            query_embeds=both_NSH,
            query_length=queries_NQH.shape[1],
            attention_mask=mask,
            encoder_hidden_states=features_NPE,
        )
        hidden: Tensor = outputs.last_hidden_state
        return hidden

    def _read(self, ids: Tensor | None, mask: Tensor | None, num_tiles: int) -> tuple[Tensor, Tensor | None]:
        """Return the words (N, T, H) and the mask of queries and words (N, Q + T), None where every word is real."""
        assert self.words is not None
        if ids is None:
            raise ProcessingError(
                "This Q-Former reads the instruction beside the picture; give condition_ids, as the processor makes "
                "them with encode_conditions."
            )
        if len(ids) != num_tiles or (mask is not None and mask.shape != ids.shape):
            shape = tuple(ids.shape if mask is None else mask.shape)
            raise ProcessingError(
                f"condition_ids {tuple(ids.shape)} and condition_mask {shape} must both hold one row per tile; there "
                f"are {num_tiles} tiles."
            )
        if mask is None:
            return self.words(ids), None
        is_query = mask.new_ones(num_tiles, self.query_tokens.shape[1])
        return self.words(ids), torch.cat([is_query, mask], dim=1)

    def num_visual_tokens(self, num_patches: int) -> int:
        """Return Q, whatever P is."""
        return self.query_tokens.shape[1]

    def init_weights(self) -> None:
        """Draw the queries anew."""
        nn.init.normal_(self.query_tokens, std=QUERY_STD)
