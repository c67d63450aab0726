"""Write a system as a transformers folder: all of it or nothing."""

from __future__ import annotations

import copy
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from geoprose.core.errors import ConfigError
from geoprose.core.files import write_json
from geoprose.systems.converted import quiet_transformers

if TYPE_CHECKING:
    from torch import nn

    from geoprose.systems.build import System

ADAPTER_DIR = "adapter"
SPEC_FILE = "system.json"


def save_system(system: System, out_dir: str | Path, adapter: Literal["merged", "separate"] = "merged") -> Path:
    """Save model, processor and spec; ``AutoModelForImageTextToText`` and ``AutoProcessor`` read the folder back.

    The folder is built beside ``out_dir`` and renamed. A folder that already holds a system is replaced; any other
    non-empty folder is left alone. The model in memory is not changed.

    Args:
        system: The system; its model may carry a PEFT adapter.
        out_dir: Folder to write.
        adapter: ``"merged"`` writes the adapter into the weights; ``"separate"`` keeps the base weights and writes the
            adapter to ``adapter/``.

    Returns:
        ``out_dir`` as a path.

    Raises:
        ConfigError: If ``out_dir`` is a non-empty folder of something else, or there is no adapter to keep separate.
    """
    target = Path(out_dir)
    if target.exists() and not _may_replace(target):
        raise ConfigError(f"{target} exists and is not a saved system; give another folder, or remove it yourself.")
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
    try:
        with quiet_transformers():
            plain_model(system.model, merge=adapter == "merged").save_pretrained(staging)
        if adapter == "separate":
            _save_adapter(system.model, staging / ADAPTER_DIR)
        system.processor.save_pretrained(staging)
        write_json(staging / SPEC_FILE, system.spec.model_dump(mode="json"))
        staging.chmod(0o755)
        _swap(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return target


def plain_model(model: Any, merge: bool = True) -> Any:
    """Return the composite without PEFT layers; ``model`` itself when it has none, else a copy.

    Args:
        model: A composite, a PEFT wrapper around one, or a composite with injected adapters.
        merge: Add the adapters to the weights; False drops them.
    """
    from peft import PeftModel
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils import ModulesToSaveWrapper

    base = model.get_base_model() if isinstance(model, PeftModel) else model
    if not any(isinstance(module, BaseTunerLayer | ModulesToSaveWrapper) for module in base.modules()):
        return base
    base = copy.deepcopy(base)
    wrapped = [
        (name, module)
        for name, module in base.named_modules()
        if isinstance(module, BaseTunerLayer | ModulesToSaveWrapper)
    ]
    for name, module in wrapped:
        if isinstance(module, BaseTunerLayer):
            if merge:
                module.merge()
            replacement = module.get_base_layer()
        else:
            replacement = module.modules_to_save[module.active_adapters[0]] if merge else module.original_module
        _replace(base, name, replacement)
    return base


def _replace(root: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, attribute = name.rpartition(".")
    setattr(root.get_submodule(parent), attribute, module)


def _save_adapter(model: Any, folder: Path) -> None:
    from peft import PeftModel

    if not isinstance(model, PeftModel):
        raise ConfigError("adapter='separate' needs a model wrapped by PEFT (get_peft_model); this one has no wrapper.")
    model.save_pretrained(str(folder))


def _may_replace(target: Path) -> bool:
    return target.is_dir() and (not any(target.iterdir()) or (target / SPEC_FILE).is_file())


def _swap(staging: Path, target: Path) -> None:
    if not target.exists():
        staging.rename(target)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
    target.rename(old / "system")
    staging.rename(target)
    shutil.rmtree(old, ignore_errors=True)
