"""Signal tokens: the language model asks for a picture, a video or a sound, and a head says what it should show.

Shapes: R requests, K signal tokens of a request, T text length, D language-model width, H width of the head, Q vectors
of the condition, C their width.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, Protocol

import torch
from torch import Tensor, nn
from transformers import LogitsProcessor

from geoprose.core.errors import ProcessingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Generator(Protocol):
    """Whatever makes pictures, videos or sounds of a condition, such as a diffusion pipeline.

    The condition takes the place of the embeddings of its text encoder (``prompt_embeds`` in diffusers).
    """

    def generate(self, condition_QC: Tensor) -> Any:
        """Return what the condition describes."""
        ...


class SignalHead(nn.Module):
    """Hidden states of signal tokens to the condition of a generator.

    ``condition = W_out decoder(queries, encoder(W_in (h + e)))``: pre-norm layers with final norms, ReLU, feed-forward
    layers four times as wide; ``e`` are the word embeddings of the signal tokens, ``queries`` are learned, one per
    vector of the condition.

    Args:
        width: D.
        options: ``{"tokens", "token_ids", "output_tokens", "output_size", "hidden_size", "num_layers", "num_heads"}``.

    Source:
        arXiv:2309.05519, section 3; ``TextFcLayer`` (mode ``transformer``) of NExT-GPT/NExT-GPT.
    """

    def __init__(self, width: int, options: Mapping[str, Any]) -> None:
        super().__init__()
        self.tokens, self.token_ids = tuple(options["tokens"]), tuple(options["token_ids"])
        hidden, layers = int(options["hidden_size"]), int(options["num_layers"])
        layer: dict[str, Any] = {
            "d_model": hidden,
            "nhead": int(options["num_heads"]),
            "dim_feedforward": 4 * hidden,
            "dropout": 0.0,
        }
        layer |= {"batch_first": True, "norm_first": True}
        self.input = nn.Linear(width, hidden)
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(**layer), layers, nn.LayerNorm(hidden), enable_nested_tensor=False
        )
        self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(**layer), layers, nn.LayerNorm(hidden))
        self.queries = nn.Parameter(torch.zeros(1, int(options["output_tokens"]), hidden))
        self.output = nn.Linear(hidden, int(options["output_size"]))

    def init_weights(self) -> None:
        """Draw the queries from the normal distribution; the rest as any linear layer."""
        nn.init.normal_(self.queries)
        for module in self.modules():
            if isinstance(module, nn.MultiheadAttention):
                nn.init.xavier_uniform_(module.in_proj_weight)
                nn.init.zeros_(module.in_proj_bias)

    def forward(self, hidden_RKD: Tensor, embeds_RKD: Tensor) -> Tensor:
        """Return conditions (R, Q, C).

        Args:
            hidden_RKD: Last hidden states at the signal tokens, behind the final norm.
            embeds_RKD: Word embeddings of the signal tokens.
        """
        memory_RKH = self.encoder(self.input(hidden_RKD + embeds_RKD))
        condition_RQH = self.decoder(self.queries.expand(len(memory_RKH), -1, -1), memory_RKH)
        return self.output(condition_RQH)  # type: ignore[no-any-return]

    def find(self, ids_BT: Tensor) -> list[tuple[int, int]]:
        """Return row and place of the first token of every complete run of signal tokens, in order.

        Raises:
            ProcessingError: If signal tokens stand alone or in another order.
        """
        signal = torch.tensor(self.token_ids, device=ids_BT.device)
        starts = [(row, place) for row, place in (ids_BT == signal[0]).nonzero().tolist()]
        for row, place in starts:
            if not torch.equal(ids_BT[row, place : place + len(signal)], signal):
                raise ProcessingError(
                    f"Row {row} holds {self.tokens[0]} at place {place} without the {len(signal) - 1} signal tokens "
                    "that belong behind it."
                )
        if int(torch.isin(ids_BT, signal).sum()) != len(starts) * len(signal):
            raise ProcessingError(
                f"A text holds some of the signal tokens {self.tokens[0]} .. {self.tokens[-1]} alone."
            )
        return starts

    def conditions(self, ids_BT: Tensor, hidden_BTD: Tensor, embed: nn.Module) -> Tensor:
        """Return the conditions (R, Q, C) of every request in a batch of texts, in order.

        Args:
            ids_BT: Token ids; a request is a run of all signal tokens.
            hidden_BTD: Last hidden states at them.
            embed: The word embedding.
        """
        starts = self.find(ids_BT)
        if not starts:
            return hidden_BTD.new_zeros(0, self.queries.shape[1], self.output.out_features)
        count = len(self.token_ids)
        hidden_RKD = torch.stack([hidden_BTD[row, place : place + count] for row, place in starts])
        embeds_RKD = torch.stack([embed(ids_BT[row, place : place + count]) for row, place in starts])
        return self(hidden_RKD, embeds_RKD)  # type: ignore[no-any-return]


class SignalHeads(nn.ModuleDict):
    """The signal heads of a system by name (image, video, audio)."""

    def __init__(self, width: int, options: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__({name: SignalHead(width, signal) for name, signal in options.items()})

    def conditions(self, ids_BT: Tensor, hidden_BTD: Tensor, embed: nn.Module) -> dict[str, Tensor]:
        """Return the conditions (R, Q, C) of every request by name."""
        found = {}
        for name, head in self.items():
            assert isinstance(head, SignalHead)
            found[name] = head.conditions(ids_BT, hidden_BTD, embed)
        return found


def signal_loss(condition_RQC: Tensor, target_RQC: Tensor, kind: Literal["mse", "distance"] = "mse") -> Tensor:
    """Return how far conditions are from what the generator's text encoder makes of the caption.

    Args:
        condition_RQC: Conditions.
        target_RQC: Embeddings of the captions, same shape.
        kind: ``"mse"`` is the mean squared error of the paper's text; ``"distance"`` the mean Euclidean distance of the
            vectors, which the published code computes.

    Raises:
        ProcessingError: If the shapes differ.
    """
    if condition_RQC.shape != target_RQC.shape:
        raise ProcessingError(
            f"The signals ask for conditions of shape {tuple(condition_RQC.shape)} but the targets have "
            f"{tuple(target_RQC.shape)}; give one target per request, as the generator's text encoder makes it."
        )
    squared = (condition_RQC - target_RQC).square()
    return squared.mean() if kind == "mse" else squared.sum(-1).sqrt().mean()


def generate_all(conditions: Mapping[str, Tensor], generators: Mapping[str, Generator]) -> dict[str, Sequence[Any]]:
    """Hand every condition to the generator of its name; returns what they made, in order.

    Raises:
        ProcessingError: If something is asked for that there is no generator for.
    """
    made: dict[str, Sequence[Any]] = {}
    for name, conditions_RQC in conditions.items():
        if len(conditions_RQC) and name not in generators:
            raise ProcessingError(
                f"The answer asks for {name} but no generator of that name was given; got {', '.join(generators)}."
            )
        made[name] = [generators[name].generate(condition_QC) for condition_QC in conditions_RQC]
    return made


def signal_conditions(model: Any, input_ids: Tensor, **inputs: Any) -> dict[str, Tensor]:
    """Return the conditions (R, Q, C) that whole texts ask for, by name; gradients reach head and language model.

    Args:
        model: The composite.
        input_ids: Prompts with answers (B, T); a request is a run of all signal tokens.
        **inputs: Everything else that ``forward`` takes.

    Raises:
        ProcessingError: If the system has no signals.
    """
    if model.signal_heads is None:
        raise ProcessingError("This system has no signal tokens, so it cannot ask a generator for anything.")
    hidden_BTD = model.model(input_ids=input_ids, **inputs).last_hidden_state
    conditions: dict[str, Tensor] = model.signal_heads.conditions(input_ids, hidden_BTD, model.get_input_embeddings())
    return conditions


class WholeSignals(LogitsProcessor):  # type: ignore[misc]  # transformers is untyped
    """Make ``generate`` write signal tokens as whole runs: behind the first come all others, and none comes alone.

    Args:
        heads: The signal heads of the system.
    """

    def __init__(self, heads: SignalHeads) -> None:
        self.runs = [list(head.token_ids) for head in heads.values() if isinstance(head, SignalHead)]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return the scores (B, O) with everything ruled out that would break a run."""
        scores = scores.clone()
        scores[:, [token for run in self.runs for token in run[1:]]] = -torch.inf
        for run in self.runs:
            for token, following in pairwise(run):
                rows = input_ids[:, -1] == token
                scores[rows] = -torch.inf
                scores[rows, following] = 0.0
        return scores
