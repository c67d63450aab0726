"""Forward plus backward of our compositions against the transformers classes, interleaved, with peak memory.

Both run the same float32 weights on the same pictures and text, at a middle size (a few million parameters) where
Python overhead still shows. Memory is how far it rises in a process of its own for each side, what is freed given back
to the system at once.
"""

from __future__ import annotations

import argparse
from typing import Any

from _harness import call_cpu_seconds, finish, in_fresh_process, interleave, peak_rise_kib, target, versions

MAX_TIME_RATIO, MAX_MEMORY_RATIO = 1.05, 1.02
_TOWER = {"hidden_size": 256, "num_hidden_layers": 6, "num_attention_heads": 8, "intermediate_size": 1024}
_LANGUAGE = {
    "hidden_size": 384,
    "intermediate_size": 1024,
    "num_hidden_layers": 6,
    "num_attention_heads": 6,
    "num_key_value_heads": 6,
}
SYSTEMS: dict[str, dict[str, Any]] = {
    "llava-1.5": {
        "resolution": {"image_size": 168},
        "vision_encoder": {"config": _TOWER},
        "language_model": {"config": _LANGUAGE},
    },
    "qwen2-vl": {
        "resolution": {
            "image_size": 28,
            "patch_size": 14,
            "min_pixels": 3136,
            "max_pixels": 100352,
            "video_min_pixels": 3136,
            "video_max_pixels": 100352,
        },
        "vision_encoder": {
            "config": {
                "embed_dim": 256,
                "hidden_size": 256,
                "num_hidden_layers": 6,
                "num_attention_heads": 8,
                "patch_size": 14,
            }
        },
        "language_model": {"config": _LANGUAGE},
        "position": {"sections": [8, 12, 12]},
    },
    "blip2-opt": {
        "resolution": {"image_size": 168},
        "vision_encoder": {"config": _TOWER},
        "connector": {"num_queries": 32, "hidden_size": 192, "num_layers": 6, "num_heads": 6, "intermediate_size": 768},
        "language_model": {
            "config": {
                "hidden_size": 384,
                "word_embed_proj_dim": 384,
                "ffn_dim": 1024,
                "num_hidden_layers": 6,
                "num_attention_heads": 6,
            }
        },
    },
    "internvl-2.5": {
        "resolution": {"image_size": 224},
        "vision_encoder": {"config": _TOWER},
        "language_model": {"config": _LANGUAGE},
    },
}
MEMORY_RUNS = 3
PICTURES = (((336, 336),), ((300, 420),))


def build(name: str) -> tuple[Any, Any, Any, Any]:
    """Return ours, theirs, and the inputs of each."""
    import torch

    from geoprose.core.spec import merge
    from geoprose.systems.build import build_system
    from geoprose.systems.interop import REFERENCES
    from geoprose.systems.presets import load_preset
    from geoprose.systems.verify import batch_of

    spec = load_preset(name)
    larger = spec.model_copy(update={"tiny": merge(spec.tiny, SYSTEMS[name])})
    system = build_system(larger, scale="tiny", dtype=torch.float32)
    reference = REFERENCES.get(spec.reference)()
    batch = batch_of(system, PICTURES)
    for parameter in system.model.parameters():
        parameter.requires_grad_(True)
    return system.model, reference.build(system.model), batch, reference.inputs(batch)


def train_pass(model: Any, inputs: Any) -> None:
    """One forward and backward pass with a loss over all tokens."""
    model.zero_grad(set_to_none=True)
    model(**inputs, labels=inputs["input_ids"].clamp_max(200), use_cache=False).loss.backward()


def peak_memory_kib(name: str, side: str) -> float:
    """Peak resident memory of training passes above what was resident before them, in a process of its own."""
    return in_fresh_process("composition", f"measured_passes_kib({name!r}, {side!r})")


def measured_passes_kib(name: str, side: str) -> float:
    """Run two passes of one side and return how far the resident memory rose (Linux)."""
    ours, theirs, our_inputs, their_inputs = build(name)
    model, inputs = (ours, our_inputs) if side == "ours" else (theirs, their_inputs)
    return peak_rise_kib(lambda: [train_pass(model, inputs) for _ in range(2)])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object (always on)")
    parser.add_argument("--runs", type=int, default=15)
    arguments = parser.parse_args()
    figures: dict[str, Any] = {}
    targets = []
    for name in SYSTEMS:
        ours, theirs, our_inputs, their_inputs = build(name)
        seconds = interleave(
            {
                "ours": lambda m=ours, i=our_inputs: call_cpu_seconds(lambda: train_pass(m, i)),
                "theirs": lambda m=theirs, i=their_inputs: call_cpu_seconds(lambda: train_pass(m, i)),
            },
            runs=arguments.runs,
            warmup=2,
        )
        memory = interleave(
            {side: lambda n=name, s=side: peak_memory_kib(n, s) for side in ("ours", "theirs")}, MEMORY_RUNS, warmup=0
        )
        figures[name] = {"cpu_s": {k: round(v, 4) for k, v in seconds.items()}, "peak_kib": memory}
        targets.append(
            target(f"{name} time over transformers", seconds["ours"] / seconds["theirs"], MAX_TIME_RATIO, True)
        )
        targets.append(
            target(f"{name} memory over transformers", memory["ours"] / memory["theirs"], MAX_MEMORY_RATIO, True)
        )
    finish(
        {
            "benchmark": "composition",
            "figures": figures,
            "ratios": {item["name"]: item["figure"] for item in targets},
            "sizes": {"runs": arguments.runs, "pictures": PICTURES, "systems": SYSTEMS},
            "versions": versions("geoprose", "torch", "transformers"),
            "targets": targets,
        }
    )


if __name__ == "__main__":
    main()
