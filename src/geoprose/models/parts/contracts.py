"""What each slot promises; every attribute that others rely on is declared here.

Shapes: N tiles (whole batch), C channels, H W pixels, P patches per tile, E encoder width, V visual tokens per tile,
D language-model width, B batch, T text length.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from geoprose.core.errors import ProcessingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedConfig
    from transformers.modeling_outputs import BaseModelOutputWithPast

    from geoprose.layout.visual import VisualLayout
    from geoprose.models.inputs import BranchTokens, TextInputs, VisualInputs, Visuals


class VisionEncoder(nn.Module, ABC):
    """Pixels to patch features; prefix tokens (class, registers) are already removed.

    Attributes:
        model_type: transformers model type of the vision config this part needs.
        hidden_size: Width E of a patch feature.
        patch_size: Side of a patch, pixels.
        image_size: Side of the tile the position table is made for, pixels.
        pool: Patches are averaged over ``pool * pool`` before they leave.
        tower_path: Path of the submodule that is the pretrained model.
    """

    model_type: ClassVar[str]
    tower_path: ClassVar[str] = "tower"
    hidden_size: int
    patch_size: int
    image_size: int
    pool: int

    @abstractmethod
    def __init__(
        self,
        config: PreTrainedConfig,
        feature_layer: int | Sequence[int] | None = None,
        pool: int = 1,
        final_norm: bool = False,
        truncate: bool = False,
    ) -> None:
        """Build from a vision config; ``feature_layer`` None means the final, normalised layer."""
        super().__init__()

    @abstractmethod
    def forward(self, pixel_values_NCHW: Tensor) -> Tensor:
        """Return patch features (N, P, E) in raster order."""

    def encode(self, inputs: VisualInputs) -> Tensor:
        """Return the features of the batch; overridden by encoders that read more than tiles.

        Raises:
            ProcessingError: If an input that the encoder needs is missing.
        """
        if inputs.pixel_values is None:
            raise ProcessingError("The vision encoder needs pixel_values.")
        features: Tensor = self(inputs.pixel_values)
        return features

    def num_rows(self, layout: VisualLayout) -> int:
        """Return the rows of ``pixel_values`` (or of its features) that a visual takes; its tiles unless overridden."""
        return layout.num_tiles

    def num_feature_rows(self, layout: VisualLayout) -> int:
        """Return the rows of the features that a visual takes; as many as of pixels unless overridden."""
        return self.num_rows(layout)

    @abstractmethod
    def num_patches(self) -> int:
        """Return P, after pooling."""

    @abstractmethod
    def is_dropped(self, name: str) -> bool:
        """Tell whether a weight of the pretrained model belongs to a block that this encoder leaves out."""

    @abstractmethod
    def unused_parameter_names(self) -> list[str]:
        """Return the parameters, relative to this part, that never get a gradient."""

    def freeze_unused(self) -> None:
        """Freeze what never gets a gradient; loading a checkpoint forgets it, so loaders call this again."""
        for name in self.unused_parameter_names():
            self.get_parameter(name).requires_grad_(False)

    @abstractmethod
    def position_table_key(self) -> str:
        """Return the state-dict key of the position table."""

    def position_table_side(self) -> int:
        """Return the side of the grid that the position table is made for."""
        return math.isqrt(self.num_patches()) * self.pool

    @abstractmethod
    def num_prefix_positions(self) -> int:
        """Return the rows of the position table that belong to prefix tokens."""


class Connector(nn.Module, ABC):
    """Patch features to visual tokens of the language model's width.

    Attributes:
        in_size: Width E of a patch feature.
        out_size: Width D of a visual token.
    """

    in_size: int
    out_size: int

    @abstractmethod
    def __init__(self, in_size: int, out_size: int, **options: Any) -> None:
        """Build from flat keyword arguments."""
        super().__init__()

    @abstractmethod
    def forward(self, features_NPE: Tensor) -> Tensor:
        """Return visual tokens (N, V, D)."""

    def connect(self, features: Tensor, inputs: VisualInputs) -> Tensor:
        """Return the visual tokens of the batch; overridden by connectors that read more than features."""
        tokens: Tensor = self(features)
        return tokens

    @abstractmethod
    def num_visual_tokens(self, num_patches: int) -> int:
        """Return V for P patches, without running."""

    def initialise_output_scale(self, embedding_std: float) -> None:
        """Take the standard deviation of the word embeddings as the scale of the output, where that applies."""
        return

    def init_weights(self) -> None:
        """Fill the tensors that no ``nn.Linear`` or ``nn.LayerNorm`` owns, where there are any."""
        return


class Packer(nn.Module, ABC):
    """Visual tokens of tiles to one run of tokens per visual; adds separators where a system has them.

    Its arithmetic is the arrangement of the same name (geoprose.layout.arrangements); a property test holds both equal.
    """

    def __init__(self, width: int, **options: Any) -> None:
        """Build for visual tokens of width D from flat keyword arguments."""
        super().__init__()

    @abstractmethod
    def forward(self, tokens_NVD: Tensor, layouts: Sequence[VisualLayout]) -> Sequence[Tensor]:
        """Return one (m, D) per visual, in the order of ``layouts``."""

    def init_weights(self) -> None:
        """Fill the tensors that no ``nn.Linear`` or ``nn.LayerNorm`` owns, where there are any."""
        return


class Fusion(nn.Module, ABC):
    """Owns how visual tokens meet the language model, and therefore how it is called."""

    is_encoder_decoder: ClassVar[bool] = False
    """True where it works on the encoder of an encoder-decoder language model."""
    keeps_state: ClassVar[bool] = False
    """True where later passes of a call need what earlier ones left in ``TextInputs.state``, row by row."""

    def __init__(self, text_config: PreTrainedConfig, **options: Any) -> None:
        """Build from the language model's config and flat keyword arguments."""
        super().__init__()

    def attach(self, language_model: nn.Module) -> None:
        """Change the language model once, right after it is built."""

    def initialise(self, language_model: nn.Module) -> None:
        """Start own weights from the language model's, where that applies; called once those are there."""

    def merge_branches(self, text: TextInputs, branches: Sequence[BranchTokens]) -> Tensor:
        """Return the embeddings (B, T, D) with the tokens of further modalities over their own placeholders.

        Raises:
            ProcessingError: If placeholders and tokens of a modality differ in number.
        """
        embeds_BTD = text.embeds_BTD
        for branch in branches:
            tokens_MD = branch.tokens_NVD.flatten(0, 1).to(embeds_BTD.device, embeds_BTD.dtype)
            num_placeholders = int(branch.is_placeholder_BT.sum())
            if num_placeholders != len(tokens_MD):
                raise ProcessingError(
                    f"The token ids hold {num_placeholders} placeholders of {branch.modality} but the "
                    f"{len(branch.tokens_NVD)} inputs gave {len(tokens_MD)} tokens. Mark every input once in the text, "
                    "give all inputs of the batch in order, and do not truncate inside one."
                )
            embeds_BTD = embeds_BTD.masked_scatter(branch.is_placeholder_BT.unsqueeze(-1), tokens_MD)
        return embeds_BTD

    @abstractmethod
    def forward(
        self, language_model: nn.Module, text: TextInputs, visuals: Visuals | None, **lm_inputs: Any
    ) -> BaseModelOutputWithPast:
        """Merge and run.

        Args:
            language_model: The decoder without its head, as ``attach`` left it.
            text: Embeddings, placeholders, and the state of this call.
            visuals: Visual tokens; None when this pass has none (text only, or a decoding step).
            **lm_inputs: ``attention_mask``, ``position_ids``, ``past_key_values`` and what else the caller passed.
        """


class Positions(ABC):
    """Position ids of the language model; built from flat keyword arguments."""

    is_owner: ClassVar[bool] = False
    """True when ids that generation prepares must be replaced by this scheme's own."""

    def install(self, language_model: nn.Module) -> None:  # noqa: B027 - most schemes need no change
        """Change the language model once, right after it is built."""

    @abstractmethod
    def build(self, text: TextInputs, visuals: Visuals | None) -> Tensor | None:
        """Return position ids (B, T) or (3, B, T), or None for the language model's own 0, 1, 2, ..."""


class ImageHead(nn.Module, ABC):
    """Writes a picture as a grid of codes, one after the other, and turns codes into pixels."""

    def __init__(self, width: int, **options: Any) -> None:
        """Build for hidden states of width D from flat keyword arguments."""
        super().__init__()

    @abstractmethod
    def scores(self, model: Any, hidden_BD: Tensor) -> Tensor:
        """Return how likely each code comes next (B, codes), before the softmax.

        Args:
            model: The composite that this head belongs to.
            hidden_BD: Last hidden state behind the last token.
        """

    @abstractmethod
    def embed(self, model: Any, codes_B: Tensor) -> Tensor:
        """Return the vectors (B, D) that the language model reads for codes it wrote."""

    @abstractmethod
    def decode(self, model: Any, codes_NHW: Tensor) -> Tensor:
        """Return pixels (N, C, H, W), normalised as the tokenizer was trained.

        Raises:
            ConfigError: If the tokenizer only encodes.
        """

    def row_end(self, model: Any) -> int | None:
        """Return the token id that ends a row of codes, where the system has one."""
        return None
