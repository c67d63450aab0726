"""A preset or spec to a consistent model and processor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, get_args

import torch
from transformers import GenerationConfig, PreTrainedTokenizerBase
from transformers.initialization import no_init_weights
from typing_extensions import TypeVar

from geoprose.core.errors import ConfigError, ModelError
from geoprose.models.parts.contracts import Connector
from geoprose.processing.image_processor import GeoproseImageProcessor
from geoprose.processing.processor import GeoproseProcessor
from geoprose.processing.prompt import IMAGE_MARK
from geoprose.systems import auto as _auto  # noqa: F401 - registers the Auto classes
from geoprose.systems.code_tokens import add_tokens, code_ids, name_tokens
from geoprose.systems.hf_config import hf_config
from geoprose.systems.kinds import kind_of
from geoprose.systems.modalities import add_modality_tokens, name_modalities
from geoprose.systems.presets import load_preset
from geoprose.systems.pretrained import (
    load_branches,
    load_language_model,
    load_tokenizer,
    load_tokenizer_from,
    load_vision_encoder,
    weights_dir,
)
from geoprose.systems.spec import BaseSystemSpec, SystemSpec
from geoprose.systems.tiny import tiny_spec, tiny_tokenizer

if TYPE_CHECKING:
    from geoprose.models.config import GeoproseConfig

Scale = Literal["full", "tiny"]
_FILLED_PARTS = {"model", "vision_encoder", "branches", "language_model", "lm_head"}
"""Parts of a pretrained composite whose weights are loaded; every other part starts fresh."""
S = TypeVar("S", bound=BaseSystemSpec, default=SystemSpec)


@dataclass
class System(Generic[S]):
    """A model, the processor that fits it, and the spec both were made from.

    Attributes:
        spec: The system's spec.
        model: The model, on the CPU in evaluation mode; a PEFT wrapper around it while an adapter is trained.
        processor: Pictures and text to what the model takes.
    """

    spec: S
    model: Any
    processor: Any


@dataclass(frozen=True)
class BuildOptions:
    """How to build, whatever the kind of system; see ``build_system``."""

    scale: Scale = "full"
    weights: bool = True
    dtype: torch.dtype = torch.float32
    seed: int = 0


def build_system(
    preset: str | BaseSystemSpec,
    scale: Scale = "full",
    weights: bool = True,
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
) -> System[Any]:
    """Build a system of any kind from a preset name or a spec.

    Args:
        preset: Name of a preset, path of a preset file, or a spec.
        scale: ``"tiny"`` shrinks every part, uses random weights and a byte tokenizer, and needs no asset.
        weights: Load the pretrained encoder and language model; False draws them at random (the tokenizer is still
            needed at full scale). The connector is always new.
        dtype: Dtype of every part.
        seed: Seed of everything that is drawn.

    Raises:
        PresetError: If the preset is unknown.
        ResourceError: If weights or tokenizer are missing on this machine.
        ModelError: If weights do not fit the preset.
    """
    if scale not in get_args(Scale):
        raise ConfigError(f"Unknown scale {scale!r}. Known: {', '.join(get_args(Scale))}.")
    spec: BaseSystemSpec = load_preset(preset) if isinstance(preset, str) else preset
    return kind_of(spec.kind).build(spec, BuildOptions(scale, weights and scale == "full", dtype, seed))


def build_composite(spec: SystemSpec, options: BuildOptions) -> System:
    """Build a composite; see ``build_system``."""
    is_tiny = options.scale == "tiny"
    spec = tiny_spec(spec) if is_tiny else spec
    tokenizer: Any = tiny_tokenizer(spec.prompt) if is_tiny else load_tokenizer(spec.language_model)
    tokenizer = prepare_tokenizer(tokenizer, spec)
    config = _config(spec, tokenizer, _special_ids(tokenizer))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        model = _pretrained_model(spec, config) if options.weights else kind_of(spec.kind).model_class()(config)
    embedding_std = float(model.get_input_embeddings().weight.detach().float().std())
    for part in model.modules():
        if isinstance(part, Connector):
            part.initialise_output_scale(embedding_std)
    model.model.fusion.initialise(model.model.language_model)
    return finish_system(spec, model.to(options.dtype), tokenizer)


def empty_composite(spec: SystemSpec, tokenizer: Any, their_text_config: Any) -> System:
    """Return a composite whose weights are still to be filled in, with the vocabulary of a released checkpoint.

    Args:
        spec: The system.
        tokenizer: The checkpoint's tokenizer.
        their_text_config: Config of its language model; gives the rows of the vocabulary and the special tokens.
    """
    tokenizer = prepare_tokenizer(tokenizer, spec)
    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    special = {name: value for name in names if isinstance(value := getattr(their_text_config, name, None), int)}
    config = _config(spec, tokenizer, special)
    config.text_config.vocab_size = their_text_config.vocab_size  # type: ignore[union-attr]
    with no_init_weights():
        model = kind_of(spec.kind).model_class()(config)
    return finish_system(spec, model, tokenizer)


def _config(spec: SystemSpec, tokenizer: Any, special_ids: dict[str, int]) -> GeoproseConfig:
    image_token_id = tokenizer.convert_tokens_to_ids(spec.prompt.image_token)
    config = name_tokens(hf_config(spec, len(tokenizer), image_token_id, special_ids), tokenizer)
    return name_modalities(config, tokenizer)


def finish_system(spec: SystemSpec, model: Any, tokenizer: Any) -> System:
    """Give a model its processor and its generation config and return the whole system."""
    processor = build_processor(spec, tokenizer, model.model.num_visual_tokens)
    processor.branches = _branches_of(model.model)
    model.generation_config = _generation_config(model, processor.tokenizer)
    return System(spec, model.eval(), processor)


def build_meta_model(preset: str | BaseSystemSpec) -> Any:
    """Build a system's model at published size without memory for its weights, to count and to check."""
    spec: BaseSystemSpec = load_preset(preset) if isinstance(preset, str) else preset
    kind = kind_of(spec.kind)
    with torch.device("meta"):
        return kind.model_class()(kind.meta_config(spec))


def build_processor(spec: SystemSpec, tokenizer: Any, num_visual_tokens: int) -> GeoproseProcessor:
    """Build the processor of a system."""
    resolution = spec.resolution
    image_processor = GeoproseImageProcessor(
        resolution=resolution.as_config(),
        resample=resolution.resample,
        image_mean=resolution.image_mean,
        image_std=resolution.image_std,
    )
    processor = GeoproseProcessor(
        image_processor,
        tokenizer,
        prompt=spec.prompt.model_dump(),
        packer=spec.packer.as_config(),
        num_visual_tokens=num_visual_tokens,
    )
    if getattr(spec.connector, "condition", False):
        weights = getattr(spec.connector, "tokenizer", None)
        processor.condition_tokenizer = (
            tokenizer if weights is None else load_tokenizer_from(weights_dir(weights, "connector"))
        )
    return processor


def _branches_of(backbone: Any) -> dict[str, dict[str, Any]]:
    """Return mark and tokens per input of every branch, as the processor needs them."""
    if backbone.branches is None:
        return {}
    return {
        modality: {"token": branch.token, "num_tokens": branch.num_tokens(backbone.pictures)}
        for modality, branch in backbone.branches.items()
    }


def prepare_tokenizer(tokenizer: PreTrainedTokenizerBase, spec: SystemSpec) -> PreTrainedTokenizerBase:
    """Add the image token, and make the end-of-turn token the end of generation.

    Raises:
        ModelError: If the tokenizer is not a fast one, or does not know the end-of-turn token.
    """
    if not tokenizer.is_fast:
        raise ModelError("The tokenizer must be a fast one: labels are found by character offsets.")
    for token in dict.fromkeys([IMAGE_MARK, spec.prompt.image_token]):
        if tokenizer.convert_tokens_to_ids(token) in (None, tokenizer.unk_token_id):
            tokenizer.add_special_tokens({"extra_special_tokens": [token]}, replace_extra_special_tokens=False)
    add_tokens(tokenizer, spec)
    add_modality_tokens(tokenizer, spec)
    stop = spec.prompt.assistant_stop
    if len(tokenizer.encode(stop, add_special_tokens=False)) != 1:
        raise ModelError(f"The tokenizer has no single token {stop!r}, which prompt.assistant_stop names.")
    tokenizer.eos_token = stop
    if tokenizer.pad_token is None:
        tokenizer.pad_token = stop
    tokenizer.padding_side = "left"
    context = spec.language_model.config.get("max_position_embeddings")
    if isinstance(context, int):
        tokenizer.model_max_length = min(tokenizer.model_max_length, context)
    return tokenizer


def _special_ids(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    return {name: getattr(tokenizer, name) for name in names if getattr(tokenizer, name) is not None}


def _pretrained_model(spec: SystemSpec, config: GeoproseConfig) -> Any:
    # Find both before building either: a missing asset must cost no minute.
    vision_dir = weights_dir(spec.vision_encoder.weights, "vision_encoder")
    branch_dirs = {
        modality: weights_dir(branch.encoder.weights, f"branches.{modality}.encoder")
        for modality, branch in spec.branches.items()
        if branch.encoder is not None
    }
    language_dir = weights_dir(spec.language_model.weights, "language_model")
    with no_init_weights():
        model = kind_of(spec.kind).model_class()(config)
    load_vision_encoder(model, spec.vision_encoder, vision_dir)
    load_branches(model, spec, branch_dirs)
    load_language_model(model, spec.language_model, language_dir)
    for name, part in (*model.model.named_children(), *model.named_children()):
        if name not in _FILLED_PARTS:
            part.apply(model._init_weights)
    return model


def _generation_config(model: Any, tokenizer: PreTrainedTokenizerBase) -> GenerationConfig:
    # Contract: an answer never holds the image token (it would ask for a picture) nor a padding row of the vocabulary.
    vocabulary = model.config.get_text_config().vocab_size
    # Nor a code of a picture: text that holds one is half a picture.
    forbidden = {model.config.image_token_id, *range(len(tokenizer), vocabulary), *code_ids(model.config)}
    forbidden |= {branch["token_id"] for branch in (model.config.branches or {}).values()}
    values: dict[str, Any] = _special_ids(tokenizer)
    if model.config.is_encoder_decoder:
        # Source: T5 starts its answers with the padding token.
        values["decoder_start_token_id"] = model.config.get_text_config().pad_token_id
    return GenerationConfig(do_sample=False, suppress_tokens=sorted(forbidden), max_new_tokens=128, **values)
