"""Accelerators by name: memory, peak of the matrix units and bandwidth of the memory, as their makers state them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from geoprose.core.errors import ConfigError
from geoprose.core.registry import unknown_name_message

GIB = 2**30
_COUNTED = re.compile(r"(?:(\d+)x)?(.+)", re.IGNORECASE)


@dataclass(frozen=True)
class Gpu:
    """One accelerator.

    Attributes:
        name: Name on the command line.
        memory_gib: Memory that a program sees, GiB (makers' GB of 80 are what the driver shows as about 79 GiB).
        bf16_tflops: Dense peak of the matrix units in 16 bits, 10^12 operations a second.
        fp32_tflops: Peak in plain float32, which torch uses unless it is told to allow TF32.
        bandwidth_gb_s: Of its memory, 10^9 bytes a second.
        source: Where the figures stand.
    """

    name: str
    memory_gib: float
    bf16_tflops: float
    fp32_tflops: float
    bandwidth_gb_s: float
    source: str


GPUS: dict[str, Gpu] = {
    gpu.name: gpu
    for gpu in (
        Gpu("V100-16G", 15.8, 125.0, 15.7, 900.0, "NVIDIA V100 datasheet, SXM2; float16, it has no bfloat16"),
        Gpu("V100-32G", 31.7, 125.0, 15.7, 900.0, "NVIDIA V100 datasheet, SXM2; float16, it has no bfloat16"),
        Gpu("A100-40G", 39.4, 312.0, 19.5, 1555.0, "NVIDIA A100 datasheet, SXM4 40 GB"),
        Gpu("A100-80G", 79.2, 312.0, 19.5, 2039.0, "NVIDIA A100 datasheet, SXM4 80 GB"),
        Gpu("H100-80G", 79.2, 989.0, 67.0, 3350.0, "NVIDIA H100 datasheet, SXM5; half of the sparse figures"),
        Gpu("H200-141G", 139.8, 989.0, 67.0, 4800.0, "NVIDIA H200 datasheet, SXM; half of the sparse figures"),
        Gpu("B200-180G", 178.0, 2250.0, 80.0, 8000.0, "NVIDIA HGX B200 datasheet; half of the sparse figures"),
        Gpu("L40S-48G", 44.5, 362.0, 91.6, 864.0, "NVIDIA L40S datasheet; half of the sparse figures"),
        Gpu("A6000-48G", 47.5, 154.8, 38.7, 768.0, "NVIDIA RTX A6000 datasheet; half of the sparse figures"),
        Gpu("RTX4090-24G", 23.6, 165.2, 82.6, 1008.0, "NVIDIA Ada whitepaper, RTX 4090, accumulation in float32"),
        Gpu("RTX3090-24G", 23.6, 71.0, 35.6, 936.0, "NVIDIA GA102 whitepaper, RTX 3090, accumulation in float32"),
    )
}


@dataclass(frozen=True)
class Cluster:
    """So many accelerators of one kind."""

    count: int
    gpu: Gpu

    @property
    def name(self) -> str:
        """``8xA100-80G``."""
        return f"{self.count}x{self.gpu.name}"


def parse_cluster(text: str) -> Cluster:
    """Read ``8xA100-80G``; the size of the memory may be left out where there is one size.

    Raises:
        ConfigError: If the accelerator is unknown, ambiguous, or their number is zero.
    """
    match = _COUNTED.fullmatch(text.strip())
    count, name = (match.group(1), match.group(2)) if match else (None, text)
    wanted = re.sub(r"[\s_-]", "", name).upper().removesuffix("B")
    found = [gpu for gpu in GPUS.values() if gpu.name.replace("-", "").upper() == wanted]
    found = found or [gpu for gpu in GPUS.values() if gpu.name.split("-")[0].upper() == wanted]
    if len(found) > 1:
        raise ConfigError(f"{name} comes in several sizes. Say {' or '.join(gpu.name for gpu in found)}.")
    if not found:
        raise ConfigError(unknown_name_message("accelerator", name, GPUS) + " Write it as 8xA100-80G.")
    if count is not None and int(count) < 1:
        raise ConfigError(f"{text}: at least one accelerator is needed.")
    return Cluster(int(count or 1), found[0])
