"""What teacher and student cost: parameters, operations, memory, and the time of an answer measured side by side."""

from __future__ import annotations

import time
from statistics import mean, median
from typing import TYPE_CHECKING, Any

from geoprose.data.neutral import read_samples
from geoprose.evaluation.predictions import question_of
from geoprose.inference.generate import Request, answer_batch
from geoprose.systems.build import build_meta_model
from geoprose.systems.cost import PUBLISHED_TEXT_TOKENS, forward_flops, memory_bytes, parameters_by_part, text_flops
from geoprose.systems.load import load_answering_system

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

TEXT_TOKENS = 64
_MIB = 1 << 20


def costs_of(folders: Mapping[str, Path], exam_dir: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Return the costs of systems by name.

    The latency is that of one question about one picture, alone: the median over ``rounds`` questions that the systems
    answer in turn, so that a disturbance of the machine meets all of them.

    Args:
        folders: Saved systems by name.
        exam_dir: Folder of the questions.
        rounds: Questions to time.
    """
    systems = {name: load_answering_system(folder) for name, folder in folders.items()}
    requests = _requests(exam_dir, rounds)
    seconds = _seconds_in_turn(systems, requests)
    return {name: _static(system) | {"ms per answer": 1000 * median(seconds[name])} for name, system in systems.items()}


def _static(system: Any) -> dict[str, float]:
    size = system.spec.resolution.image_size
    model = build_meta_model(system.spec)
    flops = forward_flops(system.spec, model, (size, size), TEXT_TOKENS)
    memory = memory_bytes(system.model, system.processor.num_visual_tokens + TEXT_TOKENS)
    return {
        "parameters, M": sum(parameters_by_part(system.model).values()) / 1e6,
        f"GFLOPs, picture and {TEXT_TOKENS} text tokens": sum(flops.values()) / 1e9,
        f"GFLOPs, {PUBLISHED_TEXT_TOKENS} text tokens as brief 004 counts": _text_gflops(system),
        "weights and cache at 16 bits, MiB": memory.inference / _MIB,
    }


def _text_gflops(system: Any) -> float:
    return text_flops(system.model.config.get_text_config()) / 1e9


def _requests(exam_dir: Path, rounds: int) -> list[Request]:
    samples = [sample for sample in read_samples(exam_dir / "test.jsonl") if len(sample.images) == 1]
    kept = samples[:: max(1, len(samples) // rounds)][:rounds]
    return [Request(tuple(exam_dir / image for image in sample.images), question_of(sample)) for sample in kept]


def _seconds_in_turn(systems: Mapping[str, Any], requests: Sequence[Request]) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in systems}
    for system in systems.values():
        answer_batch(system, requests[:1])  # the first answer pays for what is made once
    for request in requests:
        for name, system in systems.items():
            start = time.perf_counter()
            answer_batch(system, [request])
            seconds[name].append(time.perf_counter() - start)
    return seconds


def mean_seconds(seconds: Sequence[Mapping[str, float]], phase: str) -> dict[str, float]:
    """Return the mean seconds of a phase over the trials that have it, as a cost; nothing when none has."""
    known = [one[phase] for one in seconds if phase in one]
    return {f"seconds of {phase}": mean(known)} if known else {}
