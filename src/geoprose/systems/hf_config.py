"""From a system spec to the transformers config: one way."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig

from geoprose.core.errors import ConfigError
from geoprose.core.registry import unknown_name_message
from geoprose.models.registries import VISION_ENCODERS
from geoprose.systems.kinds import kind_of
from geoprose.systems.modalities import modality_values, own_tokens

if TYPE_CHECKING:
    from geoprose.models.config import GeoproseConfig
    from geoprose.systems.spec import SystemSpec

# Names of older configs that transformers still understands, and what every config takes; image_size comes from us.
_KNOWN = {"image_size", "initializer_range", "rope_scaling", "rope_theta", "tie_word_embeddings"}
_SPECIAL = {"bos_token_id", "eos_token_id", "pad_token_id"}  # given to every config; T5 declares only two of them
VOCABULARY_MULTIPLE = 64  # rows of the embedding are padded to it: matrix kernels are fastest there


def padded_vocabulary(num_tokens: int) -> int:
    """Return the rows of the embedding for a tokenizer of ``num_tokens`` tokens."""
    return -(-num_tokens // VOCABULARY_MULTIPLE) * VOCABULARY_MULTIPLE


def hf_config(spec: SystemSpec, num_tokens: int, image_token_id: int, special_ids: dict[str, int]) -> GeoproseConfig:
    """Generate the config of a system.

    Args:
        spec: The system.
        num_tokens: Tokens of the tokenizer, the image token included.
        image_token_id: Id of the image token.
        special_ids: ``bos_token_id``, ``eos_token_id`` and ``pad_token_id`` of the tokenizer, where it has them.

    Raises:
        ConfigError: If transformers refuses the values of a part.
    """
    encoder_class = VISION_ENCODERS.get(spec.vision_encoder.type)
    vision_values = {**spec.vision_encoder.config, "image_size": spec.resolution.image_size}
    vision_type = str(vision_values.pop("model_type", encoder_class.model_type))
    text_values = {**spec.language_model.config, **special_ids}
    text_values["vocab_size"] = padded_vocabulary(max(num_tokens, image_token_id + 1))
    config: GeoproseConfig = kind_of(spec.kind).config_class()(
        vision_config=sub_config(vision_type, vision_values, "vision_encoder"),
        text_config=sub_config(spec.language_model.type, text_values, "language_model"),
        **spec.config_values(),
        **modality_values(spec, num_tokens, sub_config),
        image_token_id=image_token_id,
        system=spec.model_dump(mode="json"),
    )
    return config


def meta_config(spec: SystemSpec) -> GeoproseConfig:
    """Generate the config without a tokenizer: the image token takes the id behind the pretrained vocabulary."""
    vocabulary = int(spec.language_model.config["vocab_size"])  # type: ignore[arg-type]
    return hf_config(spec, vocabulary + 1 + len(own_tokens(spec)), vocabulary, {})


def known_values(model_type: str) -> set[str]:
    """Return the names that a config of this transformers model type takes."""
    config_class: Any = CONFIG_MAPPING[model_type]
    declared = {field.name for field in dataclasses.fields(config_class)}
    return declared | set(config_class.attribute_map) | _KNOWN | _SPECIAL


def sub_config(model_type: str, values: dict[str, Any], part: str) -> PreTrainedConfig:
    """Return the transformers config of a part.

    Raises:
        ConfigError: If transformers refuses a value or does not know it.
    """
    try:
        config: PreTrainedConfig = AutoConfig.for_model(model_type, **values)
    except Exception as error:  # transformers raises several kinds here; each is a wrong value of the preset
        raise ConfigError(f"{part}: transformers refuses the {model_type} config: {error}") from error
    # Why not the config's own values: transformers keeps any keyword, a misspelt one too.
    known = known_values(model_type)
    unknown = sorted(set(values) - known)
    if unknown:
        close = "; ".join(unknown_name_message("config value", name, known).split(" Known:")[0] for name in unknown)
        raise ConfigError(f"{part}: {model_type} has no config value named {', '.join(unknown)}. {close}")
    return config
