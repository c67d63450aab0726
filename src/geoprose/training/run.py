"""Run a recipe: stages in order, then the system on disk. Start reading the training folder here."""

from __future__ import annotations

import json
import logging
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import ConfigError, GeoproseError
from geoprose.core.spec_paths import as_recorded_now, canonical_paths
from geoprose.training.access import body_of
from geoprose.training.checkpoints import checkpoint as checkpoints
from geoprose.training.checkpoints.lock import run_lock
from geoprose.training.checkpoints.recipe_changes import differences
from geoprose.training.init_from import SYSTEM_FOLDER, weights_hash
from geoprose.training.logs.run_record import RUN_FILE, RunRecord
from geoprose.training.lora import save_adapter
from geoprose.training.precision import resolve_precision, set_dtype
from geoprose.training.preference.reward_head import copy_reward_head
from geoprose.training.processes import distributed
from geoprose.training.processes.failures import explained
from geoprose.training.processes.launch import apart_from_accelerate, resolve_launch
from geoprose.training.processes.signals import listen
from geoprose.training.recipes import load_recipe
from geoprose.training.rows.batches import build_mixture, data_hashes
from geoprose.training.session import Session, enter_stage, leave_stage, open_session
from geoprose.training.specs.recipe import RecipeSpec
from geoprose.training.stage import run_stage

if TYPE_CHECKING:
    from collections.abc import Iterable

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunResult:
    """What a finished run leaves.

    Attributes:
        out_dir: Folder of the run.
        system_dir: The trained system, for ``systems.load``.
        recipe: The resolved recipe.
        record: Content of ``run.json``.
    """

    out_dir: Path
    system_dir: Path
    recipe: RecipeSpec
    record: dict[str, Any]


def run_recipe(
    recipe: Path | str,
    overrides: Iterable[str] = (),
    out_dir: Path | None = None,
    resume: bool = False,
    data_dir: Path | None = None,
) -> RunResult:
    """Train what a recipe says.

    Args:
        recipe: Name of a shipped recipe or path of a YAML file.
        overrides: ``"stages.0.steps=10"`` and the like.
        out_dir: Folder of the run; ``runs/<recipe name>`` by default.
        resume: Go on with a run that was interrupted; the result is the one of an uninterrupted run. A run that has
            not started yet is started, a finished one is returned as it is.
        data_dir: Folder that the recipe's sources are relative to.

    Raises:
        ConfigError: If the recipe is wrong, or the folder holds a run and ``resume`` is false. Nothing is written.
        DataError: If data is missing or too much of it is damaged.
        TrainingError: If the folder is in use, the loss diverges, or a signal stops the run (``Interrupted``,
            ``Terminated``).
    """
    spec = resolve_launch(resolve_precision(canonical_paths(load_recipe(recipe, overrides))))
    out_dir = out_dir or Path("runs") / spec.name
    with apart_from_accelerate(), distributed.process_group():
        return _run(spec, out_dir, _earlier_record(out_dir, spec, resume), data_dir)


def _run(spec: RecipeSpec, out_dir: Path, earlier: dict[str, Any] | None, data_dir: Path | None) -> RunResult:
    if earlier is not None and earlier["status"] == "finished" and _is_whole(out_dir / SYSTEM_FOLDER):
        return RunResult(out_dir, out_dir / SYSTEM_FOLDER, spec, earlier)
    session = open_session(spec, data_dir, out_dir)
    distributed.barrier()  # all have looked for an earlier run before the first process begins this one
    with run_lock(out_dir) if distributed.is_main() else nullcontext(), listen() as stop:
        session.stop = stop
        record = RunRecord(out_dir / RUN_FILE, spec, earlier)
        try:
            with explained(out_dir, session.how_to_continue()):
                _run_stages(session, record)
                _save(session)
        except BaseException as error:
            with suppress(OSError):  # a full disk must not hide what happened
                record.write(f"stopped: {type(error).__name__}")
            raise
        record.write("finished")
    return RunResult(out_dir, out_dir / SYSTEM_FOLDER, spec, record.content)


def plan_recipe(recipe: Path | str, overrides: Iterable[str] = (), data_dir: Path | None = None) -> dict[str, Any]:
    """Return what ``run_recipe`` would do, after all its checks; trains nothing and writes nothing."""
    spec = resolve_precision(canonical_paths(load_recipe(recipe, overrides)))
    session = open_session(spec, data_dir, Path("runs") / spec.name)
    stages = []
    for index, stage in enumerate(spec.stages):
        seed = spec.stage_seed(index)
        report = enter_stage(session.system.model, stage, seed)
        mixture = build_mixture(stage, session.sources[stage.name], seed)
        stages.append(
            {
                "name": stage.name,
                "steps": stage.steps,
                "epochs": stage.steps * stage.accumulation * stage.batch_size / len(mixture),
                "units": len(mixture),
                "samples": sum(len(source.samples) for source in session.sources[stage.name]),
                "losses": [stage.policy.method] if stage.policy else [loss.label for loss in stage.losses],
                "precision": stage.precision,
                "num_trainable": report.num_trainable,
                "trains": report.modules,
            }
        )
        leave_stage(session.system.model, stage)
    return {"recipe": spec.model_dump(mode="json"), "recipe_hash": spec.content_hash(), "stages": stages}


def _run_stages(session: Session, record: RunRecord) -> None:
    hashes = {key: value for loaded in session.sources.values() for key, value in data_hashes(loaded).items()}
    starts = {f"init_from of {stage.name}": stage.init_from for stage in session.recipe.stages if stage.init_from}
    hashes.update({name: weights_hash(folder) for name, folder in starts.items()})
    before = record.content["data_hashes"]
    if before and before != hashes:
        changed = sorted(name for name in {*before, *hashes} if before.get(name) != hashes.get(name))
        raise ConfigError(
            f"The data changed since the run began ({', '.join(changed)}). Start a new run with another --out."
        )
    record.content["data_hashes"] = hashes
    record.content["asset_hashes"] = _asset_hashes(session)
    record.write("running")
    session.scan_images()
    root_names = {str(path): reason for path, reason in session.scan.unreadable.items()}
    record.content["unreadable_images"] = root_names
    for index, stage in enumerate(session.recipe.stages):
        session.check_stop(together=True)
        record.content["stages"][stage.name] = run_stage(session, index)
        record.write("running")


def _save(session: Session) -> None:
    session.check_stop(together=True)
    set_dtype(session.system.model, session.recipe.save_dtype)
    if distributed.is_main():
        with checkpoints.atomic_folder(session.out_dir / SYSTEM_FOLDER) as folder:
            _save_system(session, folder)
            copy_reward_head(session.out_dir, folder)
    distributed.barrier()


def _save_system(session: Session, folder: Path) -> None:
    from geoprose.systems.save import ADAPTER_DIR, plain_model, save_system

    system, lora = session.system, session.recipe.stages[-1].lora
    # Adapters that a stage keeps apart are left out of the weights; the others are merged already.
    save_system(replace(system, model=plain_model(system.model, merge=False)), folder)
    if lora is not None and not lora.merge:
        save_adapter(system.model, lora, folder / ADAPTER_DIR)


def _asset_hashes(session: Session) -> dict[str, str]:
    """Return a hash per part of the starting weights."""
    import hashlib

    import torch

    hashes: dict[str, str] = {}
    for name, part in body_of(session.system.model).named_children():
        digest = hashlib.sha256()
        for key, tensor in sorted(part.state_dict().items()):
            digest.update(key.encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        hashes[name] = digest.hexdigest()
    return hashes


def _earlier_record(out_dir: Path, spec: RecipeSpec, resume: bool) -> dict[str, Any] | None:
    path = out_dir / RUN_FILE
    if not path.is_file():
        return None
    if not resume:
        raise ConfigError(f"{out_dir} already holds a run. Continue it with --resume, or choose another --out folder.")
    try:
        earlier: dict[str, Any] = json.loads(path.read_text())
        before = as_recorded_now(RecipeSpec, earlier["recipe"])
    except (json.JSONDecodeError, KeyError) as error:
        raise GeoproseError(f"{path} is damaged ({error}). Start again with another --out folder.") from error
    changes = "\n  ".join(differences(before, spec.model_dump(mode="json")))
    if changes:
        raise ConfigError(
            f"The recipe differs from the one that {out_dir} was started with:\n  {changes}\n"
            "Resume with the same recipe and overrides, or choose another --out folder."
        )
    processes = int(earlier.get("processes", 1))
    if processes != distributed.world_size():
        raise ConfigError(
            f"{out_dir} was started with {processes} processes, this launch has {distributed.world_size()}: its steps "
            "would hold other samples. Launch as many as before, or choose another --out folder."
        )
    return earlier


def _is_whole(folder: Path) -> bool:
    return folder.is_dir() and checkpoints.damage(folder) is None
