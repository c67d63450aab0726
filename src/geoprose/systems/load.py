"""Load a saved system strictly: every fault names the file and the key, and no code from the folder runs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import AutoProcessor
from transformers.initialization import no_init_weights

from geoprose.core.errors import ConfigError, ModelError, PresetError, ResourceError
from geoprose.core.registry import unknown_name_message
from geoprose.core.spec import validate
from geoprose.systems.build import System, build_system
from geoprose.systems.kinds import kind_of_model_type
from geoprose.systems.presets import list_presets
from geoprose.systems.save import ADAPTER_DIR

if TYPE_CHECKING:
    from geoprose.systems.kinds.base import SystemKind
    from geoprose.systems.spec import BaseSystemSpec

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
_CODE_KEYS = ("auto_map", "trust_remote_code", "custom_pipelines")


def load_system(name_or_dir: str | Path) -> System[Any]:
    """Return a system from a saved folder, or build the preset of that name with its pretrained weights.

    Args:
        name_or_dir: Folder written by ``save_system``, or the name of a preset.

    Raises:
        PresetError: If the name is neither a folder nor a preset; close names are listed.
        ResourceError: If a path does not exist or lacks a file.
        ModelError: If the folder asks to run code, or its config and weights do not fit each other.
    """
    folder = Path(name_or_dir).expanduser()
    if folder.is_dir():
        return _load_dir(folder)
    name = str(name_or_dir)
    if name in list_presets():
        return build_system(name)
    if os.sep in name or name.startswith((".", "~")) or folder.exists():
        raise ResourceError(f"{folder} is not a folder, so no system can be loaded from it. Check the path.")
    raise PresetError(unknown_name_message("system preset or folder", name, list_presets()))


def load_answering_system(name_or_dir: str | Path) -> System:
    """Return a system that answers in words; see ``load_system``.

    Raises:
        ConfigError: If the system is of another kind, such as a dual encoder.
    """
    return answering(load_system(name_or_dir))


def answering(system: System[Any]) -> System:
    """Return ``system`` if it answers in words.

    Raises:
        ConfigError: If it does not.
    """
    if not hasattr(system.spec, "language_model"):
        raise ConfigError(
            f"System {system.spec.name} is of kind {system.spec.kind}: it has no language model, so it cannot answer. "
            "Give one that answers; `geoprose systems list` shows the language model of each."
        )
    return system


def load_spec(folder: Path) -> BaseSystemSpec:
    """Return the spec of a saved system, without its weights.

    Raises:
        ResourceError: If there is no config.
        ModelError: If it was not written by geoprose, or is damaged.
    """
    return _spec(folder, *_config(folder))


def _spec(folder: Path, kind: SystemKind, config: Any) -> BaseSystemSpec:
    return validate(kind.spec_type(), config.system or {}, f"the system spec in {folder / 'config.json'}")


def _load_dir(folder: Path) -> System[Any]:
    refuse_code_in(folder)
    kind, config = _config(folder)
    spec = _spec(folder, kind, config)
    model = _model(folder, config, kind.model_class())
    model = kind.after_load(model, folder)
    if (folder / ADAPTER_DIR).is_dir():
        model = _with_adapter(model, folder / ADAPTER_DIR)
    return System(spec, model.eval(), _processor(folder))


def _model(folder: Path, config: Any, model_class: Any) -> Any:
    with torch.device("meta"):
        expected = {key: tuple(value.shape) for key, value in _saved_state(model_class(config))}
    check_weights(folder, expected)
    with no_init_weights():
        model = model_class(config)
    state = {key: tensor for path in weight_files(folder) for key, tensor in _read(path)}
    model.load_state_dict(state, strict=False, assign=True)
    model.tie_weights()
    return model


def _config(folder: Path) -> tuple[SystemKind, Any]:
    values = read_json(folder / "config.json")
    kind = kind_of_model_type(str(values.get("model_type")))
    if kind is None:
        raise ModelError(
            f"{folder / 'config.json'} is of model type {values.get('model_type')!r}, not 'geoprose'; "
            "this folder was not written by geoprose."
        )
    try:
        return kind, kind.config_class().from_dict(values)
    except Exception as error:  # the strict config raises several kinds; each means a damaged config
        raise ModelError(f"{folder / 'config.json'} is not a valid config: {error}") from error


def _processor(folder: Path) -> Any:
    try:
        return AutoProcessor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResourceError(f"{folder} holds no processor that can be read: {error}") from error


def _with_adapter(model: Any, folder: Path) -> Any:
    from peft import PeftModel

    refuse_code_in(folder)
    if not (folder / "adapter_model.safetensors").is_file():
        raise ResourceError(f"{folder} holds no adapter_model.safetensors; only safetensors are read.")
    return PeftModel.from_pretrained(model, str(folder))


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ResourceError: If the file is missing.
        ModelError: If it is not a JSON object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ResourceError(f"{path} is missing, so {path.parent} is not a complete system.") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(values, dict):
        raise ModelError(f"{path} must hold a JSON object, found {type(values).__name__}.")
    return values


def refuse_code_in(folder: Path) -> None:
    """Refuse a folder whose JSON files ask to run code.

    Raises:
        ModelError: If one does.
    """
    for path in sorted(folder.glob("*.json")):
        if path.name not in ("vocab.json", "tokenizer.json"):  # words, not settings, and not always an object
            _refuse_code(read_json(path), path)


def _refuse_code(value: Any, path: Path) -> None:
    children = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    found = [key for key in _CODE_KEYS if isinstance(value, Mapping) and value.get(key)]
    if found:
        raise ModelError(f"{path} holds {found[0]!r}, which asks to run code from the folder; geoprose never does.")
    for child in children:
        _refuse_code(child, path)


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files of a folder, following its index.

    Raises:
        ResourceError: If there are none, or one that the index names is missing.
        ModelError: If the index names a file outside the folder.
    """
    index = folder / INDEX_FILE
    names = {WEIGHTS_FILE}
    if index.is_file():
        names = {str(name) for name in read_json(index).get("weight_map", {}).values()}
    for name in sorted(names):
        if Path(name).name != name:
            raise ModelError(f"{index} names {name!r}, which lies outside the folder.")
        if not (folder / name).is_file():
            raise ResourceError(f"{folder / name} is missing; only safetensors weights are read.")
    return [folder / name for name in sorted(names)]


def check_weights(folder: Path, expected: Mapping[str, tuple[int, ...]]) -> None:
    """Compare the headers of the weight files with what the model needs, before anything is loaded.

    Raises:
        ResourceError: If a file is missing.
        ModelError: If a file is corrupt or truncated, or a key is missing, unexpected or of another shape.
    """
    found: dict[str, Path] = {}
    for path in weight_files(folder):
        for key, shape in _header(path):
            if key not in expected:
                raise ModelError(f"{path} holds {key!r}, which the model of config.json does not have.")
            if shape != expected[key]:
                raise ModelError(f"{path}: {key!r} has shape {shape}, config.json needs {expected[key]}.")
            found[key] = path
    missing = sorted(set(expected) - set(found))
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ModelError(f"{weight_files(folder)[0]} lacks {missing[0]!r}{more}, which the model of config.json needs.")


def _header(path: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    try:
        with safe_open(path, framework="pt") as handle:
            for key in handle.keys():  # noqa: SIM118 - a safetensors handle is no mapping
                yield key, tuple(handle.get_slice(key).get_shape())
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is corrupt or truncated and cannot be read as safetensors: {error}") from error


def _read(path: Path) -> Iterator[tuple[str, Tensor]]:
    with safe_open(path, framework="pt") as handle:
        for key in handle.keys():  # noqa: SIM118 - a safetensors handle is no mapping
            yield key, handle.get_tensor(key)


def _saved_state(model: Any) -> Iterator[tuple[str, Tensor]]:
    for key, value in model.state_dict().items():
        # Contract: a tied weight (a head, the tables of T5) is not saved; tie_weights restores it.
        if key not in model.all_tied_weights_keys:
            yield key, value
