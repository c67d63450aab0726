"""Released checkpoints of the systems that transformers has no class for.

Their folders name code (``auto_map``), which is never opened: ``config.json`` is read as data, the layout gives our
names to the weights, and the tokenizer is read by the classes of transformers.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from transformers.utils import logging as hf_logging

from geoprose.core.errors import ConfigError, ResourceError
from geoprose.systems.build import empty_composite, prepare_tokenizer
from geoprose.systems.hf_config import padded_vocabulary
from geoprose.systems.interop.base import untied
from geoprose.systems.interop.released import LAYOUTS, ReleasedLayout
from geoprose.systems.load import read_json
from geoprose.systems.pretrained import load_tokenizer_from
from geoprose.systems.released_files import read_weights
from geoprose.systems.spec import SystemSpec
from geoprose.systems.transfer import Imported, check_state, grow_vocabulary, spec_with

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch
    from torch import Tensor

    from geoprose.systems.build import System

_SPECIAL = ("bos_token_id", "eos_token_id", "pad_token_id")


def released_layout(folder: Path) -> ReleasedLayout | None:
    """Return the layout whose class ``config.json`` names, or None where transformers knows it, or nobody."""
    try:
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    named = values.get("architectures") if isinstance(values, dict) else None
    layouts = (LAYOUTS.get(name)() for name in LAYOUTS.names())
    return next((layout for layout in layouts if layout.architecture in (named or ())), None)


def import_released(
    folder: Path, preset: str | None = None, dtype: torch.dtype | None = None, tokenizer_dir: Path | None = None
) -> Imported:
    """Read a released checkpoint whose class is not in transformers.

    Args:
        folder: Folder with ``config.json``, weight files (sharded or not) and tokenizer files.
        preset: The preset it is a checkpoint of; by default that of its layout.
        dtype: Dtype to load in; that of the files by default.
        tokenizer_dir: Folder of a fast tokenizer, where the release has none.

    Raises:
        ResourceError: If a file is missing.
        ConfigError: If the class in ``config.json`` is unknown, or the config asks for what no preset computes.
        ModelError: If a weight is missing, unexpected or of another shape; all of them are counted, some named.
    """
    layout = released_layout(folder)
    if layout is None:
        known = ", ".join(LAYOUTS.get(name).architecture for name in LAYOUTS.names())
        raise ConfigError(f"{folder / 'config.json'} names no class of a released layout. Known: {known}.")
    released = read_json(folder / "config.json")
    spec = _spec(layout, preset or layout.preset, released)
    system = _empty(spec, layout, released, _tokenizer(layout, tokenizer_dir or folder))
    state, left_out = layout.key_map(system.model.config).to_ours(layout.completed(read_weights(folder)))
    grow_vocabulary(state, system.model.config.get_text_config().vocab_size)
    check_state(state, untied(system.model), folder)
    system.model.load_state_dict(_in_one_dtype(state, dtype), strict=False, assign=True)
    system.model.tie_weights()
    return Imported(system, tuple(left_out))


def _spec(layout: ReleasedLayout, preset: str, released: Mapping[str, Any]) -> SystemSpec:
    try:
        spec = spec_with(preset, layout.spec_values(released))
    except KeyError as error:
        raise ConfigError(f"config.json lacks {error}, which a {layout.architecture} has.") from error
    if not isinstance(spec, SystemSpec):
        raise ConfigError(f"Preset {preset} is of kind {spec.kind}, a {layout.architecture} answers in words.")
    return spec


def _tokenizer(layout: ReleasedLayout, folder: Path) -> Any:
    own = layout.tokenizer(folder)
    if own is not None:
        return own
    verbosity = hf_logging.get_verbosity()
    try:
        # transformers looks into config.json too and warns of a class that it does not know; we have read it.
        hf_logging.set_verbosity_error()
        tokenizer: Any = load_tokenizer_from(folder)
    except ResourceError as error:
        raise ResourceError(f"{error} Give the folder of a fast tokenizer with --tokenizer.") from error
    finally:
        hf_logging.set_verbosity(verbosity)
    # Contract: what we save asks for no code.
    tokenizer.init_kwargs.pop("auto_map", None)
    return tokenizer


def _empty(spec: SystemSpec, layout: ReleasedLayout, released: Mapping[str, Any], tokenizer: Any) -> System:
    """Return the system without its weights; a row for every token, whatever the release has."""
    tokenizer = prepare_tokenizer(tokenizer, spec)
    rows = layout.num_rows(released)
    if len(tokenizer) > rows:
        rows = padded_vocabulary(len(tokenizer))
    # Why not the released ids: several releases leave them to defaults that lie outside a smaller vocabulary.
    special = {name: getattr(tokenizer, name) for name in _SPECIAL}
    return empty_composite(spec, tokenizer, SimpleNamespace(vocab_size=rows, **special))


def _in_one_dtype(state: Mapping[str, Tensor], dtype: torch.dtype | None) -> dict[str, Tensor]:
    """Return the weights in ``dtype``; by default that of the head, which mixed files are brought to."""
    wanted = dtype or state["lm_head.weight"].dtype
    return {name: tensor.to(wanted) if tensor.is_floating_point() else tensor for name, tensor in state.items()}
