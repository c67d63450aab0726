"""Branches: further modalities beside the pictures, each with its encoder, its connector and its placeholder.

The three ways to align modalities differ only in who owns a part: every branch its own connector (multi-branch), all of
them the pictures' connector behind encoders of one joint space (single-branch), or no connector at all because the
modality is written in tokens of the vocabulary (the ``token_ids`` fusion).

Shapes: B batch, T text length, N inputs of one modality, P patches, E encoder width, V tokens per input, D
language-model width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import AutoConfig

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.models.inputs import BranchTokens, VisualInputs
from geoprose.models.registries import CONNECTORS, VISION_ENCODERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geoprose.models.parts.contracts import Connector, VisionEncoder


class Pictures(NamedTuple):
    """The parts that pictures go through and that branches may share."""

    encoder: VisionEncoder
    connector: Connector


def _options(part: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key != "type"}


class Branch(nn.Module):
    """One further modality.

    Args:
        options: ``{"encoder": {"type": ..., **options}, "encoder_config": {...}, "connector": {"type": ...,
            **options}, "token": ..., "token_id": ...}``; encoder and connector are None where those of the pictures
            serve.
        width: D.
        pictures: The parts that pictures go through.

    Raises:
        ConfigError: If the shared connector takes features of another width.
    """

    def __init__(self, options: Mapping[str, Any], width: int, pictures: Pictures) -> None:
        super().__init__()
        self.token, self.token_id = str(options["token"]), int(options["token_id"])
        self.encoder: VisionEncoder | None = None
        self.connector: Connector | None = None
        if options["encoder"] is not None:
            config = dict(options["encoder_config"])
            config = AutoConfig.for_model(config.pop("model_type"), **config)
            self.encoder = VISION_ENCODERS.get(options["encoder"]["type"])(config, **_options(options["encoder"]))
        features = (self.encoder or pictures.encoder).hidden_size
        if options["connector"] is not None:
            connector = options["connector"]
            self.connector = CONNECTORS.get(connector["type"])(features, width, **_options(connector))
        elif features != pictures.connector.in_size:
            raise ConfigError(
                f"The branch of {self.token} shares the pictures' connector, which takes features of width "
                f"{pictures.connector.in_size}, but its encoder gives {features}. Give the branch its own connector, "
                "or an encoder of the same joint space."
            )

    def _parts(self, pictures: Pictures) -> Pictures:
        return Pictures(self.encoder or pictures.encoder, self.connector or pictures.connector)

    def num_tokens(self, pictures: Pictures) -> int:
        """Return V."""
        encoder, connector = self._parts(pictures)
        return connector.num_visual_tokens(encoder.num_patches())

    def forward(self, values: Tensor, pictures: Pictures) -> Tensor:
        """Return the tokens (N, V, D) of N inputs, each in the shape its encoder reads."""
        encoder, connector = self._parts(pictures)
        features = encoder.encode(VisualInputs(pixel_values=values))
        parameter = next(connector.parameters(), None)
        if parameter is not None:
            features = features.to(parameter.dtype)
        return connector.connect(features, VisualInputs(vision_features=features))


class Branches(nn.ModuleDict):
    """The branches of a system by modality."""

    def __init__(self, options: Mapping[str, Mapping[str, Any]], width: int, pictures: Pictures) -> None:
        super().__init__({modality: Branch(branch, width, pictures) for modality, branch in options.items()})

    def branch(self, modality: str) -> Branch:
        """Return the branch of a modality.

        Raises:
            ProcessingError: If there is none.
        """
        if modality not in self:
            raise ProcessingError(
                f"This system has no branch for {modality}; it reads pictures and {', '.join(self.keys())}."
            )
        branch = self[modality]
        assert isinstance(branch, Branch)
        return branch

    def tokens(
        self, values: Mapping[str, Tensor], ids: Tensor | None, embeds_BTD: Tensor, embed: nn.Module, pictures: Pictures
    ) -> list[BranchTokens]:
        """Return the tokens of every modality that is given, and where they belong.

        Args:
            values: Inputs by modality.
            ids: Token ids (B, T); without them a placeholder is an embedding equal to its token's.
            embeds_BTD: Embeddings of the text.
            embed: The embedding.
            pictures: The parts that pictures go through.

        Raises:
            ProcessingError: If a modality has no branch, or placeholders stand for a modality that is not given.
        """
        found = []
        for modality in [*self.keys(), *(name for name in values if name not in self)]:
            branch = self.branch(modality)
            if ids is not None:
                is_placeholder_BT = ids == branch.token_id
            else:
                token_D = embed(torch.tensor(branch.token_id, device=embeds_BTD.device))
                is_placeholder_BT = (embeds_BTD == token_D).all(-1)
            if modality in values:
                found.append(BranchTokens(modality, branch(values[modality], pictures), is_placeholder_BT))
            elif bool(is_placeholder_BT.any()):
                raise ProcessingError(
                    f"The text holds placeholders of {modality} ({branch.token}) but no {modality}_values were given."
                )
        return found

    def freeze_unused(self) -> None:
        """Freeze what never gets a gradient in any encoder; loaders call this again."""
        for modality in self:
            encoder = self.branch(modality).encoder
            if encoder is not None:
                encoder.freeze_unused()


def repeat_inputs(values: Mapping[str, Tensor], input_ids: Tensor | None, times: int, model: Any) -> dict[str, Tensor]:
    """Return the inputs of the branches for a batch in which every row stands ``times`` times in a row.

    Args:
        values: Inputs by modality.
        input_ids: (B, T); says which inputs belong to which row.
        times: How often.
        model: The backbone.

    Raises:
        ProcessingError: If there are no token ids or no branches.
    """
    if input_ids is None or model.branches is None:
        raise ProcessingError("Several answers to one prompt with further modalities need input_ids and branches.")
    repeated = {}
    for modality, inputs in values.items():
        branch = model.branches.branch(modality)
        owned = ((input_ids == branch.token_id).sum(-1) // branch.num_tokens(model.pictures)).tolist()
        rows = torch.split(inputs, owned) if sum(owned) == len(inputs) else None
        if rows is None:
            raise ProcessingError(
                f"The text has placeholders for {sum(owned)} inputs of {modality} but {len(inputs)} were given."
            )
        repeated[modality] = torch.cat([row for row in rows for _ in range(times)])
    return repeated
