"""Train a tiny system with random weights in seconds, to see the whole line of training without any asset.

    python examples/05_train_a_tiny_system.py data/port runs/tiny

``data/port`` is what example 04 writes. Replace ``scale: tiny`` by ``full`` for the real parts.
"""

from __future__ import annotations

import sys
from pathlib import Path

from geoprose.training.run import plan_recipe, run_recipe

RECIPE = """
name: tiny
system: demo
scale: tiny
num_threads: 1
features: {cache: run}
stages:
  - name: align
    trainable: ["connector.*"]
    losses: [{type: lexical_alignment, supervision: captions, words: {red: red, green: green, blue: blue}}]
    prepare: [{type: input_statistics}]
    data: [{path: train.jsonl}]
    steps: 4
    batch_size: 4
    learning_rate: 1.0e-3
  - name: instruct
    trainable: ["connector.*"]
    lora: {rank: 2, alpha: 4}
    data: [{path: train.jsonl}]
    steps: 8
    batch_size: 4
    learning_rate: 1.0e-3
"""


def main(data_dir: str, out_dir: str) -> None:
    """Write the recipe, show the plan, train, and say where the system lies."""
    recipe = Path(out_dir).with_suffix(".yaml")
    recipe.parent.mkdir(parents=True, exist_ok=True)
    recipe.write_text(RECIPE)
    for stage in plan_recipe(recipe, data_dir=Path(data_dir))["stages"]:
        print(f"{stage['name']}: {stage['steps']} steps, {stage['num_trainable']:,} parameters train")
    result = run_recipe(recipe, out_dir=Path(out_dir), data_dir=Path(data_dir))
    for name, stage in result.record["stages"].items():
        print(f"{name}: last loss {stage['last_loss']:.3f}")
    print(f"system: {result.system_dir}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
