"""Released checkpoints in, and our systems out, in the layout that transformers and the authors use.

Weights are read from safetensors only. The transformers class of the system reads a released checkpoint, so that the
renamings of its old versions are transformers' business; the key map brings the weights to our names.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig

from geoprose.core.errors import ConfigError, ModelError, ResourceError
from geoprose.core.spec import merge, validate
from geoprose.systems.converted import quiet_transformers
from geoprose.systems.interop import REFERENCES
from geoprose.systems.interop.base import Reference, untied
from geoprose.systems.kinds import kind_of
from geoprose.systems.load import refuse_code_in
from geoprose.systems.presets import list_presets, load_preset, spec_type_of
from geoprose.systems.pretrained import load_tokenizer_from
from geoprose.systems.save import plain_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor
    from transformers import PreTrainedConfig

    from geoprose.systems.build import System
    from geoprose.systems.spec import BaseSystemSpec

_NAMED = 5
_FAULTS = ("missing", "unexpected", "mismatched")


@dataclass(frozen=True)
class Imported:
    """A released checkpoint as one of our systems.

    Attributes:
        system: Model, processor and spec.
        left_out: Published weights that our model does without.
    """

    system: System
    left_out: tuple[str, ...]


def import_checkpoint(folder: Path, preset: str | None = None, dtype: torch.dtype | None = None) -> Imported:
    """Read a released checkpoint in the layout of transformers.

    Args:
        folder: Folder with ``config.json``, safetensors (sharded or not) and tokenizer files.
        preset: The preset it is a checkpoint of; by default the one preset whose class ``config.json`` names.
        dtype: Dtype to load in; that of the files by default.

    Raises:
        ResourceError: If a file is missing.
        ConfigError: If no preset fits the checkpoint, or several do and none is named.
        ModelError: If a weight is missing, unexpected or of another shape; all of them are counted, some named.
    """
    refuse_code_in(folder)
    theirs = _config(folder)
    name, reference = _find_preset(theirs, preset)
    spec = spec_with(name, reference.spec_values(theirs))
    system = kind_of(spec.kind).adopt(spec, load_tokenizer_from(folder), reference.adopted(theirs))
    published = _published_weights(folder, reference, dtype)
    ours, left_out = reference.key_map(system.model.config).to_ours(published)
    check_state(ours, untied(system.model), folder)
    system.model.load_state_dict(ours, strict=False, assign=True)
    system.model.tie_weights()
    return Imported(system, tuple(left_out))


def export_checkpoint(system: System, out_dir: Path) -> Path:
    """Write a system in the layout of its transformers class: config, safetensors, tokenizer; all of it or nothing.

    Raises:
        ConfigError: If the system's preset names no transformers class, or ``out_dir`` is not empty.
        ModelError: If a weight has no published name.
    """
    reference = _reference_of(system.spec)
    if out_dir.exists() and any(out_dir.iterdir()):
        raise ConfigError(f"{out_dir} is not empty; give a new folder.")
    model = plain_model(system.model)
    theirs = reference.build(model)
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{out_dir.name}.", suffix=".tmp", dir=out_dir.parent))
    try:
        with quiet_transformers():
            theirs.save_pretrained(staging)
        system.processor.tokenizer.save_pretrained(staging)
        staging.chmod(0o755)
        shutil.rmtree(out_dir, ignore_errors=True)
        staging.rename(out_dir)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return out_dir


def presets_of(architecture: str) -> list[str]:
    """Return the presets whose transformers class has this name."""
    named = [(name, load_preset(name).reference) for name in list_presets()]
    return [name for name, known in named if known is not None and REFERENCES.get(known).architecture == architecture]


def _config(folder: Path) -> PreTrainedConfig:
    if not (folder / "config.json").is_file():
        raise ResourceError(
            f"{folder / 'config.json'} is missing, so {folder} is no checkpoint in transformers' layout."
        )
    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(folder, local_files_only=True)
    except (ValueError, KeyError, OSError) as error:
        raise ModelError(f"{folder / 'config.json'} is not a config that transformers knows: {error}") from error
    return config


def _find_preset(theirs: PreTrainedConfig, preset: str | None) -> tuple[str, Reference]:
    architecture = (theirs.architectures or ["none"])[0]
    fitting = presets_of(architecture)
    if preset is not None:
        spec = load_preset(preset)
        reference = _reference_of(spec)
        if reference.architecture != architecture:
            raise ConfigError(
                f"The checkpoint is a {architecture}, preset {preset} is a {reference.architecture}. "
                f"Presets of that class: {', '.join(fitting) or 'none'}."
            )
        return preset, reference
    if len(fitting) != 1:
        raise ConfigError(
            f"{'No preset is' if not fitting else 'Several presets are'} a {architecture}"
            f"{': ' + ', '.join(fitting) if fitting else ''}. Name the preset with --preset."
        )
    return fitting[0], _reference_of(load_preset(fitting[0]))


def _reference_of(spec: BaseSystemSpec) -> Reference:
    if spec.reference is None:
        raise ConfigError(f"System {spec.name} has no class in transformers; save it in geoprose's own layout instead.")
    return REFERENCES.get(spec.reference)()


def spec_with(preset: str, changes: Mapping[str, Any]) -> BaseSystemSpec:
    """Return a preset with what a released config changes, key by key, where the preset says something."""
    values = load_preset(preset).model_dump(mode="json")
    changed = merge(values, _restricted(changes, values))
    return validate(spec_type_of(values), changed, f"preset {preset!r} with the released config")


def _restricted(changes: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``changes`` without the keys that ``known`` does not have, at every depth."""
    kept: dict[str, Any] = {}
    for key, value in changes.items():
        if key in known:
            both = isinstance(value, dict) and isinstance(known[key], dict)
            kept[key] = _restricted(value, known[key]) if both else value
    return kept


def _published_weights(folder: Path, reference: Reference, dtype: torch.dtype | None) -> dict[str, Tensor]:
    model_class: Any = reference.model_class()
    try:
        with quiet_transformers():
            theirs, info = model_class.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=dtype or "auto", output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{folder} cannot be read as safetensors of {reference.architecture}: {error}") from error
    raise_faults(folder, {kind: sorted(str(name) for name in info[f"{kind}_keys"]) for kind in _FAULTS})
    state: dict[str, Tensor] = theirs.state_dict()
    return {name: tensor for name, tensor in state.items() if name not in theirs.all_tied_weights_keys}


def check_state(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], folder: Path) -> None:
    """Compare names and shapes of weights with those that the model needs.

    Raises:
        ModelError: If a weight is missing, unexpected or of another shape; all are counted, some named.
    """
    shapes = [
        f"{name} is {tuple(found[name].shape)}, needs {tuple(expected[name].shape)}"
        for name in sorted(set(found) & set(expected))
        if found[name].shape != expected[name].shape
    ]
    missing, unexpected = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    raise_faults(folder, {"missing": missing, "unexpected": unexpected, "mismatched": shapes})


def grow_vocabulary(state: dict[str, Tensor], num_rows: int) -> None:
    """Add the mean row for the image token and the padding rows, which a released vocabulary does without."""
    for name in ("model.language_model.embed_tokens.weight", "lm_head.weight"):
        rows = state.get(name)
        if rows is not None and rows.shape[0] < num_rows:
            added = rows.mean(0, keepdim=True).expand(num_rows - rows.shape[0], -1)
            state[name] = torch.cat([rows, added])


def raise_faults(folder: Path, faults: Mapping[str, list[str]]) -> None:
    """Raise ModelError if any list of faults has an entry."""
    said = [f"{len(names)} {kind}: {', '.join(names[:_NAMED])}" for kind, names in faults.items() if names]
    if said:
        raise ModelError(f"The weights in {folder} do not fit. {'; '.join(said)}.")
