"""Find pretrained parts and put them into a composite, strictly."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from geoprose.core.errors import ConfigError, ModelError, ResourceError
from geoprose.core.registry import unknown_name_message
from geoprose.models.parts.encoders.position_table import resize_position_table
from geoprose.systems.kept_layers import keep_layers

if TYPE_CHECKING:
    from geoprose.models.composite import GeoproseForConditionalGeneration
    from geoprose.models.parts.contracts import VisionEncoder
    from geoprose.systems.spec import LanguageModelSpec, SystemSpec
    from geoprose.systems.specs.encoders import VisionEncoderSpec
    from geoprose.systems.specs.weights import WeightsSpec


def weights_dir(weights: WeightsSpec | None, part: str) -> Path:
    """Return the transformers folder of a part's weights, fetching or converting them on first use.

    Raises:
        ConfigError: If the spec names no weights or an unknown asset.
        ResourceError: If they cannot be had on this machine.
    """
    if weights is None:
        raise ConfigError(f"{part} names no weights; set {part}.weights, or build with weights=False.")
    if weights.asset is not None:
        converters = _converters()
        if weights.asset not in converters:
            raise ConfigError(unknown_name_message("weights asset", weights.asset, converters))
        return converters[weights.asset]()
    if weights.hub_id is not None:
        return _from_hub(weights.hub_id, str(weights.revision), part)
    path = Path(str(weights.path)).expanduser()
    if not (path / "config.json").is_file():
        raise ResourceError(f"{part}.weights.path {path} is no transformers folder: it has no config.json.")
    return path


def _converters() -> dict[str, Callable[[], Path]]:
    from geoprose.systems.convert_gguf import ensure_smollm2
    from geoprose.systems.convert_onnx import ensure_dinov2

    return {"dinov2-small-focus": ensure_dinov2, "smollm2-135m-instruct": ensure_smollm2}


def _from_hub(hub_id: str, revision: str, part: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(
            hub_id, revision=revision, allow_patterns=["*.json", "*.safetensors", "*.model", "*.txt"]
        )
    except Exception as error:  # the hub client raises many kinds; all mean that the weights are not here
        raise ResourceError(
            f"{part} needs {hub_id} at {revision[:12]} from the model hub, which cannot be had here "
            f"({type(error).__name__}). Download it elsewhere and set {part}.weights to {{path: FOLDER}}."
        ) from error
    return Path(folder)


def load_tokenizer(language_model: LanguageModelSpec) -> PreTrainedTokenizerBase:
    """Return the tokenizer that belongs to the language model's weights."""
    return load_tokenizer_from(weights_dir(language_model.weights, "language_model"))


def load_tokenizer_from(folder: Path) -> PreTrainedTokenizerBase:
    """Return the tokenizer in a folder.

    Raises:
        ResourceError: If there is none that can be read.
    """
    try:
        # Why not the default of trust_remote_code: it asks on the terminal whether code of the folder may run.
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ResourceError(f"{folder} holds no tokenizer that can be read: {error}") from error


def load_vision_encoder(model: GeoproseForConditionalGeneration, spec: VisionEncoderSpec, folder: Path) -> None:
    """Put pretrained weights into the vision encoder; its position table is brought to the model's grid.

    Raises:
        ModelError: If a weight is missing or has another shape, or the configs contradict.
    """
    load_encoder(model.model.vision_encoder, spec, folder, "vision_encoder")


def load_branches(model: Any, spec: SystemSpec, folders: Mapping[str, Path]) -> None:
    """Put pretrained weights into the encoders of the branches; their connectors start fresh.

    Args:
        model: The composite.
        spec: The system.
        folders: Weights by modality, for the branches with an encoder of their own.

    Raises:
        ModelError: If a weight is missing or has another shape, or the configs contradict.
    """
    for modality in spec.branches:
        branch = model.model.branches.branch(modality)
        encoder_spec = spec.branches[modality].encoder
        if encoder_spec is not None:
            load_encoder(branch.encoder, encoder_spec, folders[modality], f"branches.{modality}.encoder")
        if branch.connector is not None:
            branch.connector.apply(model._init_weights)


def load_encoder(encoder: VisionEncoder, spec: VisionEncoderSpec, folder: Path, part: str) -> None:
    """Put pretrained weights into an encoder; see ``load_vision_encoder``.

    Raises:
        ModelError: If a weight is missing or has another shape, the configs contradict, or no folder of transformers
            fills the whole encoder.
    """
    tower = _tower_of(encoder, spec, part)
    pretrained = _from_pretrained(type(tower), folder, part)
    _compare_configs(spec.config, pretrained.config, part, folder)
    state = {name: rows for name, rows in pretrained.state_dict().items() if not encoder.is_dropped(name)}
    key = encoder.position_table_key().removeprefix(f"{encoder.tower_path}.")
    table = spec.position_table
    if state[key].shape != tower.state_dict()[key].shape:
        side = encoder.position_table_side()
        state[key] = resize_position_table(
            state[key], encoder.num_prefix_positions(), side, table.mode, table.align_corners
        )
    _assign(tower, state, part, folder)
    encoder.freeze_unused()


def _tower_of(encoder: VisionEncoder, spec: VisionEncoderSpec, part: str) -> Any:
    """Return the tower that a transformers folder fills, if that is the whole encoder."""
    instead = "Load a released checkpoint of the whole system, or build with weights=False."
    tower = dict(encoder.named_modules()).get(encoder.tower_path)
    if not isinstance(tower, PreTrainedModel):
        raise ModelError(f"{part}.weights: transformers has no class for {spec.type} alone. {instead}")
    outside = [name for name, _ in encoder.named_parameters() if not name.startswith(f"{encoder.tower_path}.")]
    if outside:
        raise ModelError(
            f"{part}.weights fills {encoder.tower_path} alone and would leave {outside[0]} and {len(outside) - 1} more "
            f"undefined ({spec.type} reads several towers). {instead}"
        )
    return tower


def load_language_model(model: GeoproseForConditionalGeneration, spec: LanguageModelSpec, folder: Path) -> None:
    """Put pretrained weights into the language model and its head; new vocabulary rows start at the mean row.

    Raises:
        ModelError: If a weight is missing or has another shape, or the configs contradict.
    """
    pretrained = _from_pretrained(AutoModelForCausalLM, folder, "language_model")
    if spec.keep_layers:
        keep_layers(pretrained, spec.keep_layers)
    _compare_configs(spec.config, pretrained.config, "language_model", folder)
    language_model = model.model.language_model
    vocabulary = model.config.get_text_config().vocab_size
    # Some classes wrap the decoder more than once (OPT); ours holds the innermost.
    decoder = next((part for part in pretrained.modules() if type(part) is type(language_model)), pretrained.base_model)
    state = dict(decoder.state_dict())
    embedding_key = next(
        name for name, module in language_model.named_modules() if module is language_model.get_input_embeddings()
    )
    state[f"{embedding_key}.weight"] = _grow(state[f"{embedding_key}.weight"], vocabulary)
    _assign(language_model, state, "language_model", folder)
    if model.config.tie_word_embeddings:
        model.tie_weights()
    else:
        head = {"weight": _grow(pretrained.get_output_embeddings().weight.detach(), vocabulary)}
        _assign(model.lm_head, head, "language_model head", folder)


def _from_pretrained(model_class: Any, folder: Path, part: str) -> PreTrainedModel:
    from geoprose.systems.converted import quiet_transformers

    try:
        with quiet_transformers():
            model, info = model_class.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{part}: {folder} cannot be loaded as safetensors: {error}") from error
    # Contract: strict. A renamed key would leave a layer random, and the model would only be a little worse.
    if info["missing_keys"]:
        raise ModelError(
            f"{part}: {folder} lacks {sorted(info['missing_keys'])[:3]}; the weights are of another model."
        )
    return model


def _compare_configs(wanted: Mapping[str, Any], config: Any, part: str, folder: Path) -> None:
    values = config.to_dict()
    skipped = {"vocab_size", "image_size", "bos_token_id", "eos_token_id", "pad_token_id", "initializer_range"}
    differing = {
        key: (value, values.get(key))
        for key, value in wanted.items()
        if key not in skipped and not _agree(value, values.get(key))
    }
    if differing:
        found = ", ".join(f"{key} is {theirs!r}, the preset says {ours!r}" for key, (ours, theirs) in differing.items())
        raise ModelError(f"{part}: {folder / 'config.json'} does not match the preset: {found}.")


def _agree(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        return all(_agree(value, theirs.get(key)) for key, value in ours.items())
    if isinstance(ours, float) and isinstance(theirs, int | float):
        return math.isclose(ours, theirs, rel_tol=1e-6)  # GGUF stores float32
    if isinstance(ours, int) and isinstance(theirs, list | tuple):
        return list(theirs) == [ours, ours]  # InternViT writes the sides of a patch
    return bool(ours == theirs)


def _assign(module: nn.Module, state: Mapping[str, Tensor], part: str, folder: Path) -> None:
    try:
        module.load_state_dict(dict(state), strict=True, assign=True)
    except RuntimeError as error:
        raise ModelError(f"{part}: the weights in {folder} do not fit the preset: {error}") from error


def _grow(rows: Tensor, num_rows: int) -> Tensor:
    if rows.shape[0] > num_rows:
        raise ModelError(f"The pretrained vocabulary has {rows.shape[0]} rows, the tokenizer needs {num_rows}.")
    missing = num_rows - rows.shape[0]
    return torch.cat([rows, rows.mean(0, keepdim=True).expand(missing, -1)]) if missing else rows
