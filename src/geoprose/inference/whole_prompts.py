"""Score given answers without sharing: for systems that read picture and question together."""

# B options, T prompt length, A answer length, O vocabulary

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from geoprose.inference.features import open_picture
from geoprose.inference.shared_prefix import messages_of
from geoprose.models.inputs import VisualInputs
from geoprose.systems.batch import prepare_batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from geoprose.inference.shared_prefix import Asks
    from geoprose.systems.build import System

    Ids = tuple[int, ...]

IGNORED = -100


def score_whole(system: System, request: Asks, options: Sequence[tuple[Ids, Ids]]) -> list[float]:
    """Return the log-likelihood of each option: one forward pass per option over everything.

    Args:
        system: Model and processor.
        request: Pictures and question.
        options: Tokens before each option, and its own.
    """
    inputs = _inputs(system, request)
    scores = []
    for context, ids in options:
        ids_1T = torch.tensor([[*context, *ids]], device=system.model.device)
        whole = {**inputs, "input_ids": ids_1T, "attention_mask": torch.ones_like(ids_1T)}
        logits_TO = system.model(**whole, use_cache=False, logits_to_keep=len(ids) + 1).logits[0, :-1]
        scores.append(float(likelihoods(logits_TO[None], ids_1T[:, -len(ids) :])[0]))
    return scores


def score_in_decoder(system: System, request: Asks, options: Sequence[tuple[Ids, Ids]]) -> list[float]:
    """Return the log-likelihood of each option: the encoder once, the decoder over all options together.

    Args:
        system: Model, whose language model has an encoder and a decoder, and processor.
        request: Pictures and question.
        options: Nothing, and the tokens of each option.
    """
    inputs = _inputs(system, request)
    mask_1T = inputs["attention_mask"]
    visual = VisualInputs.take(inputs)
    encoded = system.model.model.encode(inputs["input_ids"], mask_1T, visual_inputs=visual)
    encoded.last_hidden_state = encoded.last_hidden_state.expand(len(options), -1, -1)
    longest = max(len(ids) for _, ids in options)
    labels_BA = torch.full((len(options), longest), IGNORED, device=system.model.device)
    for row, (_, ids) in enumerate(options):
        labels_BA[row, : len(ids)] = torch.tensor(ids)
    logits_BAO = system.model(
        attention_mask=mask_1T.expand(len(options), -1),
        encoder_outputs=encoded,
        decoder_input_ids=system.model.prepare_decoder_input_ids_from_labels(labels_BA),
        use_cache=False,
    ).logits
    scores: list[float] = likelihoods(logits_BAO, labels_BA).tolist()
    return scores


def _inputs(system: System, request: Asks) -> dict[str, Tensor]:
    pictures = [open_picture(image) for image in request.images]
    inputs = prepare_batch(system, [(pictures, messages_of(system, request))])
    return {name: value.to(system.model.device) for name, value in inputs.items()}


def likelihoods(logits_BAO: Tensor, labels_BA: Tensor) -> Tensor:
    """Return the sum of ``log p`` of each row's labels (B,), float32; -100 is no label."""
    losses_BA = F.cross_entropy(logits_BAO.float().transpose(1, 2), labels_BA, ignore_index=IGNORED, reduction="none")
    return -losses_BA.sum(-1)
