"""The visual half that every kind of model shares: vision encoder, connector and packer, from pixels to visual tokens.

Shapes: B batch, T text length, N tiles (whole batch), P patches per tile, E encoder width, V visual tokens per tile,
D language-model width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.core.registry import options_of
from geoprose.models.branches import Branches, Pictures
from geoprose.models.config import GeoproseConfig  # noqa: TC001 - transformers reads the annotations of models
from geoprose.models.inputs import SOURCES, TextInputs, VisualInputs, Visuals
from geoprose.models.parts.contracts import Connector, Fusion, Packer, VisionEncoder  # noqa: TC001 - likewise
from geoprose.models.registries import CONNECTORS, FUSIONS, PACKERS, VISION_ENCODERS


def _check_pixels(inputs: VisualInputs) -> None:
    for name in ("pixel_values", "high_res_pixel_values"):
        pixels = getattr(inputs, name)
        if pixels is None:
            continue
        if not pixels.is_floating_point():
            raise ProcessingError(
                f"{name} are {pixels.dtype}, but the vision encoder reads normalised floats; encode the pictures with "
                "the processor of this system."
            )
        if len(pixels) == 0:
            raise ProcessingError(f"{name} hold no picture; leave them out for a question without pictures.")


class VisualHalf:
    """What a model does with pictures, whatever its language model is; a mixin of ``PreTrainedModel`` classes.

    Attributes:
        vision_encoder: Pixels to patch features.
        connector: Patch features to visual tokens.
        packer: Visual tokens of tiles to one run per visual.
        branches: Further modalities; None without any.
    """

    config: GeoproseConfig
    vision_encoder: VisionEncoder
    connector: Connector
    packer: Packer
    fusion: Fusion
    branches: Branches | None
    get_input_embeddings: Any

    def build_visual_half(self, config: GeoproseConfig) -> None:
        """Build encoder, connector and packer; called once by the constructor."""
        assert config.vision_encoder is not None
        assert config.connector is not None
        width = config.get_text_config().hidden_size
        encoder_class = VISION_ENCODERS.get(config.vision_encoder["type"])
        self.vision_encoder = encoder_class(config.vision_config, **options_of(config.vision_encoder))
        connector_class = CONNECTORS.get(config.connector["type"])
        self.connector = connector_class(self.vision_encoder.hidden_size, width, **options_of(config.connector))
        self.num_visual_tokens  # noqa: B018 - a grid that does not divide must fail here, not at the first picture
        packer = config.merging()[0]
        self.packer = PACKERS.get(packer["type"])(width, **options_of(packer))
        self.branches = Branches(config.branches, width, self.pictures) if config.branches else None

    def build_fusion(self, config: GeoproseConfig, is_encoder_decoder: bool) -> Fusion:
        """Build the fusion.

        Raises:
            ConfigError: If it is made for the other kind of language model.
        """
        fusion = config.merging()[1]
        fusion_class = FUSIONS.get(fusion["type"])
        text_config = config.get_text_config()
        if (
            fusion_class.is_encoder_decoder != is_encoder_decoder
            or text_config.is_encoder_decoder != is_encoder_decoder
        ):
            kinds = {True: "an encoder-decoder", False: "a decoder-only"}
            raise ConfigError(
                f"This class needs {kinds[is_encoder_decoder]} language model and a fusion made for it; "
                f"{text_config.model_type} is {kinds[text_config.is_encoder_decoder]} one and {fusion['type']} is for "
                f"{kinds[fusion_class.is_encoder_decoder]} one. T5 goes with kind encoder_decoder and fusion "
                "encoder_decoder_prefix."
            )
        return fusion_class(text_config, **options_of(fusion))

    @property
    def pictures(self) -> Pictures:
        """The parts that pictures go through; branches may share them."""
        return Pictures(self.vision_encoder, self.connector)

    def merge_branches(self, text: TextInputs, input_ids: Tensor | None, inputs: VisualInputs) -> None:
        """Write the tokens of further modalities into the embeddings of ``text``; does nothing without branches.

        Raises:
            ProcessingError: If inputs and placeholders do not match, or there is no branch for an input.
        """
        values = inputs.take_modalities()
        if self.branches is None and values:
            raise ProcessingError(f"This system reads pictures and text; it has no branch for {', '.join(values)}.")
        if self.branches is not None and (values or text.past_length == 0):
            embed = self.get_input_embeddings()
            tokens = self.branches.tokens(values, input_ids, text.embeds_BTD, embed, self.pictures)
            text.embeds_BTD = self.fusion.merge_branches(text, tokens)

    @property
    def num_visual_tokens(self) -> int:
        """V: visual tokens per tile."""
        return self.connector.num_visual_tokens(self.vision_encoder.num_patches())

    def encode_images(self, pixel_values: Tensor) -> Tensor:
        """Run the vision encoder: pixels (N, C, H, W) to patch features (N, P, E), which a feature cache stores."""
        return self.vision_encoder.encode(VisualInputs(pixel_values=pixel_values))

    def project(self, vision_features: Tensor, inputs: VisualInputs | None = None) -> Tensor:
        """Run the connector: patch features (N, P, E) to visual tokens (N, V, D), in the connector's dtype."""
        parameter = next(self.connector.parameters(), None)
        if parameter is not None and vision_features.is_floating_point():
            vision_features = vision_features.to(parameter.dtype)
        return self.connector.connect(vision_features, inputs or VisualInputs(vision_features=vision_features))

    def get_image_features(
        self, pixel_values: Tensor | None = None, vision_features: Tensor | None = None, **kwargs: Any
    ) -> BaseModelOutputWithPooling:
        """Return patch features (N, P, E) as ``last_hidden_state`` and visual tokens (N, V, D) as ``pooler_output``.

        Args:
            pixel_values: Tiles of all pictures, concatenated (N, C, H, W).
            vision_features: What the encoder returned for them, instead of pixels.
            **kwargs: Further fields of ``VisualInputs``; others are ignored, generation and serving pass extra inputs.

        Raises:
            ProcessingError: If both or neither are given.
        """
        inputs = VisualInputs.take(kwargs)
        inputs.pixel_values, inputs.vision_features = pixel_values, vision_features
        features, tokens = self._see(inputs)
        return BaseModelOutputWithPooling(last_hidden_state=features, pooler_output=tokens)

    def _see(self, inputs: VisualInputs) -> tuple[Tensor, Tensor]:
        """Return features and visual tokens of all tiles."""
        given = [name for name in SOURCES if getattr(inputs, name) is not None]
        if len(given) != 1:
            raise ProcessingError(
                f"Give exactly one of {', '.join(SOURCES)}; got {' and '.join(given) or 'none of them'}."
            )
        _check_pixels(inputs)
        features = self.vision_encoder.encode(inputs) if inputs.vision_features is None else inputs.vision_features
        return features, self.project(features, inputs)

    def visuals(self, inputs: VisualInputs) -> Visuals:
        """Return the visual tokens of the batch, one run per visual."""
        _, tokens_NVD = self._see(inputs)
        layouts = inputs.layouts(tokens_NVD.shape[0])
        return Visuals(self.packer(tokens_NVD, layouts), layouts, tokens_NVD.shape[1])

    def get_placeholder_mask(self, input_ids: Tensor | None, inputs_embeds: Tensor) -> Tensor:
        """Return (B, T), True where a visual token belongs.

        Without token ids the placeholders are found as embeddings equal to the image token's.
        """
        if input_ids is not None:
            return input_ids == self.config.image_token_id
        image_token = torch.tensor(self.config.image_token_id, device=inputs_embeds.device)
        is_visual_BT: Tensor = (inputs_embeds == self.get_input_embeddings()(image_token)).all(-1)
        return is_visual_BT
