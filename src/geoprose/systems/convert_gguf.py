"""Convert a packaged GGUF language model to a transformers folder: SmolLM2 for the demo."""

from __future__ import annotations

import copy
import functools
import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from geoprose.assets.cache import cache_root
from geoprose.assets.resolve import resolve
from geoprose.core.errors import ModelError
from geoprose.core.files import sha256_file
from geoprose.systems.converted import convert_once, quiet_transformers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

ASSET = "smollm2-135m-instruct"
CONVERTER = "gguf-1"

_PROBES = ("How many ships? 1289 {<12><34>}", "<|im_start|>user\nWhere is the forest?<|im_end|>\n")


def ensure_smollm2(cache_dir: Path | None = None) -> Path:
    """Return the transformers folder of SmolLM2-135M-Instruct, fetching and converting it on first use.

    Args:
        cache_dir: Folder of the cache; by default ``GEOPROSE_CACHE`` or the platform's cache folder.

    Raises:
        AssetError: If the packaged weights cannot be had.
        ModelError: If the conversion fails its checks.
    """
    gguf_path = resolve(ASSET, cache_dir)
    out_dir = cache_root(cache_dir) / "converted" / f"{ASSET}-{sha256_file(gguf_path)[:12]}"
    return convert_smollm2(gguf_path, out_dir)


def convert_smollm2(gguf_path: Path, out_dir: Path) -> Path:
    """Write a GGUF Llama-family model as ``config.json``, ``model.safetensors`` (float32), tokenizer and chat template.

    Does nothing when ``out_dir`` already holds the intact conversion of the same file. The result is read back and
    compared: every tensor must be equal, and the tokenizer must give the same tokens.

    Args:
        gguf_path: The GGUF file.
        out_dir: Folder to write, as a whole or not at all.

    Returns:
        ``out_dir``.

    Raises:
        ModelError: If the file cannot be read, or the saved model differs from the loaded one.
    """
    return convert_once(gguf_path, out_dir, CONVERTER, _convert)


def _convert(gguf_path: Path, staging: Path) -> dict[str, Any]:
    with quiet_transformers():
        with _paused_collector(), _parsed_once():
            loaded, tokenizer = _read_gguf(gguf_path)
        plain = _without_quantization(loaded)
        plain.save_pretrained(staging)
        tokenizer.save_pretrained(staging)
        num_tensors = _verify_reload(plain, tokenizer, staging)
    return {"verified": {"tensors_equal_after_reload": num_tensors, "num_parameters": plain.num_parameters()}}


@contextmanager
def _paused_collector() -> Iterator[None]:
    """Pause the garbage collector: the GGUF reader makes a million views, and walking them adds a third."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def _parsed_once() -> Iterator[None]:
    """Let transformers share one parsed file: it opens the same one for config, weights and tokenizer."""
    import gguf

    original = gguf.GGUFReader
    gguf.GGUFReader = functools.lru_cache(maxsize=1)(original)
    try:
        yield
    finally:
        gguf.GGUFReader = original


def _read_gguf(gguf_path: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, name = str(gguf_path.parent), gguf_path.name
    try:
        model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    except ImportError as error:
        raise ModelError(f"Reading {name} needs the gguf package: pip install 'geoprose[demo]'. ({error})") from error
    except (ValueError, OSError, KeyError, RuntimeError) as error:
        raise ModelError(f"{gguf_path} cannot be read as a GGUF language model: {error}") from error
    return model, tokenizer


def _without_quantization(loaded: PreTrainedModel) -> PreTrainedModel:
    """Rebuild the model from its config, since transformers refuses to save one that was read from GGUF."""
    import torch

    config = copy.deepcopy(loaded.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    # Built on the meta device and filled by assignment: the weights exist once, not twice.
    with torch.device("meta"):
        plain: PreTrainedModel = type(loaded)(config)
    plain.load_state_dict(loaded.state_dict(), strict=True, assign=True)
    plain.tie_weights()
    return plain


def _verify_reload(plain: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, staging: Path) -> int:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    again = AutoModelForCausalLM.from_pretrained(staging, dtype=torch.float32)
    wanted, found = plain.state_dict(), again.state_dict()
    different = [name for name in wanted if name not in found or not torch.equal(wanted[name], found[name])]
    if different or set(found) != set(wanted):
        raise ModelError(f"The converted model differs from its source after reloading: {', '.join(different[:5])}.")
    tokens = AutoTokenizer.from_pretrained(staging)
    same_tokens = all(tokens(text).input_ids == tokenizer(text).input_ids for text in _PROBES)
    if not same_tokens or tokens.chat_template != tokenizer.chat_template:
        raise ModelError("The converted tokenizer differs from its source after reloading.")
    return len(wanted)
