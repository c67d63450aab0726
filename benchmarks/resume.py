"""Kill a training run with SIGKILL at random moments, go on with it, and compare with the run that nothing disturbed.

Two stages on the demo's system with random weights: the connector alone, then low-rank adapters with dropout, weight
decay and accumulation; a checkpoint every second step. Every trial kills a run of its own at a moment drawn evenly from
the duration of a whole run, resumes it, and asks that the weights and the list of losses are the same to the last bit.
Processes are forked from one that has imported everything, so that the moments fall into the work and not into imports.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from _harness import finish, target, versions

if TYPE_CHECKING:
    from collections.abc import Callable

COLOURS = {"water": (20, 40, 160), "forest": (20, 110, 40), "desert": (210, 180, 120)}
STAGE = {
    "data": [{"path": "train.jsonl"}],
    "batch_size": 2,
    "log_every": 1,
    "packing": "shared_prefix",
    "save_every": 2,
}
STAGES = [
    STAGE | {"name": "align", "trainable": ["connector.*"], "steps": 8, "learning_rate": 1e-3},
    STAGE
    | {
        "name": "instruct",
        "lora": {"rank": 2, "dropout": 0.1, "targets": ["q_proj", "v_proj"]},
        "steps": 8,
        "accumulation": 2,
        "learning_rate": 1e-3,
        "optimiser": {"weight_decay": 0.1},
    },
]


def write_data(folder: Path) -> None:
    """Write seven pictures of coloured cells with three questions each, and the recipe."""
    import numpy as np
    from PIL import Image

    from geoprose.core.types import Message, Sample
    from geoprose.data.neutral import write_samples

    draw, samples = np.random.default_rng(0), []
    for number in range(7):
        cells = draw.integers(0, 3, (4, 4))
        pixels = np.array(list(COLOURS.values()), dtype=np.uint8)[cells].repeat(8, 0).repeat(8, 1)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        for place, name in enumerate(COLOURS):
            answer = "yes" if (cells == place).any() else "no"
            messages = (Message("user", f"<image>\nAny {name}?"), Message("assistant", answer))
            samples.append(Sample(f"{number}-{place}", (f"{number}.png",), messages, "presence", "train", (None,), {}))
    write_samples(samples, folder / "train.jsonl")
    recipe = {"name": "resume", "system": "demo", "scale": "tiny", "stages": STAGES, "num_threads": 1}
    recipe["features"] = {"cache": "run", "shard_images": 4, "batch_size": 2}
    (folder / "recipe.yaml").write_text(json.dumps(recipe))


def forked(work: Callable[[], object]) -> int:
    """Run ``work`` in a forked process and return the process's number."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        with open(os.devnull, "w") as quiet, contextlib.redirect_stderr(quiet):
            work()
        status = 0
    finally:
        os._exit(status)


def outcome(run: Path) -> tuple[dict[str, bytes], list[list[object]]]:
    """Return every weight as bytes, and the log without its clock."""
    from safetensors.torch import load_file

    weights = load_file(run / "system" / "model.safetensors")
    keys = ("step", "loss", "parts", "learning_rate", "grad_norm", "tokens")
    rows = [json.loads(line) for log in sorted(run.glob("stages/*/log.jsonl")) for line in log.read_text().splitlines()]
    return {name: tensor.numpy().tobytes() for name, tensor in weights.items()}, [
        [row[k] for k in keys] for row in rows
    ]


def killed_at(folder: Path, moment: float, out: Path) -> str:
    """Start a run, kill it after ``moment`` seconds, and say how far it was; empty when it had finished."""
    child = forked(lambda: train(folder, out))
    time.sleep(moment)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        return ""
    rest = "half-written checkpoint" if list(out.glob("stages/*/checkpoints/.tmp-*")) else ""
    logs = sorted(out.glob("stages/*/log.jsonl"))
    steps = len(logs[-1].read_text().splitlines()) if logs else 0
    where = f"{logs[-1].parent.name} step {steps}" if logs else "before the first stage"
    return f"{where} {rest}".strip()


def train(folder: Path, out: Path) -> None:
    """Train or go on."""
    from geoprose.training.run import run_recipe

    run_recipe(folder / "recipe.yaml", out_dir=out, resume=True, data_dir=folder)


def main() -> None:
    """Kill, resume, compare; print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object (always on)")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="resume-"))
    write_data(folder)
    train(folder, folder / "warm")  # imports everything, so that the forked processes need not
    start = time.monotonic()
    os.waitpid(forked(lambda: train(folder, folder / "whole")), 0)
    duration = time.monotonic() - start
    whole, draw, places, equal = outcome(folder / "whole"), random.Random(arguments.seed), [], 0
    while len(places) < arguments.kills:
        out = folder / f"run-{len(places)}"
        place = killed_at(folder, draw.uniform(0.0, duration), out)
        if place:
            _, status = os.waitpid(forked(lambda out=out: train(folder, out)), 0)
            is_equal = status == 0 and outcome(out) == whole
            equal += is_equal
            places.append(place if is_equal else f"{place}: DIFFERENT")
            print(f"{len(places)}: killed in {places[-1]}", file=sys.stderr)
        shutil.rmtree(out, ignore_errors=True)
    shutil.rmtree(folder)
    finish(
        {
            "benchmark": "resume",
            "versions": versions("torch", "transformers"),
            "seconds_of_a_run": round(duration, 2),
            "killed_in": places,
            "targets": [target("resumed runs that are identical", equal, arguments.kills, at_most=False)],
        }
    )


if __name__ == "__main__":
    main()
