"""What was asked and by what: the plan that a run must keep to, and the record that it leaves."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoprose.core import provenance
from geoprose.evaluation.data_hashes import data_hashes

if TYPE_CHECKING:
    from geoprose.evaluation.predict import Exam
    from geoprose.evaluation.resume import Shard
    from geoprose.evaluation.run_options import EvaluateOptions
    from geoprose.evaluation.run_samples import SampleSet
    from geoprose.evaluation.tasks import TaskSpec
    from geoprose.systems.build import System


@dataclass(frozen=True)
class LoadedSystem:
    """A system in memory, and what identifies it.

    Attributes:
        system: The system.
        name: The folder or preset it was loaded from.
        sha256: Hash of its spec and of every weight.
    """

    system: System[Any]
    name: str
    sha256: str


def load_for_evaluation(system: LoadedSystem | System[Any] | str | Path) -> LoadedSystem:
    """Return a system of any kind with its hash; a loaded one as it is.

    Raises:
        GeoproseError: If it cannot be loaded.
    """
    if isinstance(system, LoadedSystem):
        return system
    if isinstance(system, (str, Path)):
        from geoprose.systems.load import load_system

        loaded: System[Any] = load_system(system)
        return LoadedSystem(loaded, str(system), system_sha256(loaded))
    return LoadedSystem(system, system.spec.name, system_sha256(system))


def system_sha256(system: System[Any]) -> str:
    """Return the SHA-256 of the spec and of the name, type, shape and bytes of every weight."""
    import torch

    digest = hashlib.sha256(system.spec.content_hash().encode())
    for name, value in sorted(system.model.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        flat = value.detach().cpu().contiguous().reshape(-1)
        digest.update(memoryview(flat.view(torch.uint8).numpy()) if flat.numel() else b"")
    return digest.hexdigest()


def make_plan(
    exam: Exam, samples: SampleSet, loaded: tuple[LoadedSystem, LoadedSystem | None], shard: Shard, limit: int | None
) -> dict[str, Any]:
    """Return all that the answers depend on; a run is gone on with only under an equal plan.

    Args:
        exam: What is asked.
        samples: The questions and the training samples.
        loaded: The system, and the blind one where there is one.
        shard: How the work is cut.
        limit: How many samples are asked about.
    """
    system, blind = loaded
    return {
        "task": exam.task.answering_part(),
        "system": {"name": system.system.spec.name, "sha256": system.sha256},
        "blind": None if blind is None else blind.sha256,
        "data_sha256": samples.sha256(),
        "questions": len(samples.asked),
        "limit": limit,
        "batch_size": exam.batch_size,
        "shards": shard.count,
    }


def _decoding(task: TaskSpec) -> dict[str, Any]:
    options = task.answering_options
    is_greedy = options.get("num_beams", 1) == 1
    strategy = {"strategy": "greedy"} if is_greedy else {"strategy": "beam search", "length_penalty": 1.0, **options}
    return {**strategy, "dtype": "float32", "max_new_tokens": task.max_new_tokens}


def run_record(loaded: LoadedSystem, exam: Exam, options: EvaluateOptions) -> dict[str, Any]:
    """Return everything that scoring and the report need to know about how the predictions were made."""
    from geoprose.evaluation.supervision import describe_supervision

    return {
        "task": exam.task.model_dump(mode="json"),
        "task_sha256": exam.task.content_hash(),
        "data_dir": str(exam.data_dir.resolve()),
        "system": _system_facts(loaded)
        | {"supervision": list(options.supervision) or describe_supervision(Path(loaded.name))},
        "decoding": _decoding(exam.task),
        "batch_size": options.batch_size,
        "limit": options.limit,
        "seeds": {"shuffle": 0, "bootstrap": 0, "baselines": 0, "shots": exam.task.prompt.shot_seed},
        "data_sha256": data_hashes(exam.data_dir, (f"{exam.task.split}.jsonl", f"{exam.task.train_split}.jsonl")),
        "versions": provenance.package_versions(),
        "git_commit": provenance.git_commit(),
        "hardware": provenance.hardware(),
        "peak_memory_mib": round(provenance.peak_memory_bytes() / (1 << 20), 1),
    }


def _system_facts(loaded: LoadedSystem) -> dict[str, Any]:
    spec = loaded.system.spec
    return {
        "name": spec.name,
        "kind": spec.kind,
        "path": Path(loaded.name).name,
        "spec_sha256": spec.content_hash(),
        "sha256": loaded.sha256,
        "box_codec": getattr(spec, "box_format", None),  # dual encoders and dense systems write no boxes
        "resize": {"mode": getattr(spec.resolution, "mode", "resize"), "size_px": spec.resolution.image_size},
        "parameters": sum(parameter.numel() for parameter in loaded.system.model.parameters()),
    }


def joined_record(records: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """Return the record of a run from those of its shards: seconds add up, the largest memory counts."""
    first = dict(records[min(records)])
    parts = list(records.values())
    sources = list(dict.fromkeys(source for part in parts for source in part["seconds"]))
    first["seconds"] = {source: round(sum(part["seconds"].get(source, 0.0) for part in parts), 2) for source in sources}
    first["sessions"] = sum(part["sessions"] for part in parts)
    first["peak_memory_mib"] = max(part["peak_memory_mib"] for part in parts)
    if len(parts) > 1:
        first["shards"] = [{key: part[key] for key in ("hardware", "git_commit", "seconds")} for part in parts]
    return first
