"""Build a small data set from a scene, write it in two formats, and check it. Needs no torch.

python examples/04_build_and_check_data.py port.tif data/port
"""

from __future__ import annotations

import sys
from pathlib import Path

import geoprose
from geoprose.core.types import Message, Sample
from geoprose.data.check import check_dataset
from geoprose.data.llava import write_llava
from geoprose.data.neutral import write_samples
from geoprose.scenes.render import render_rgb, to_picture

TILE_PX = 64
SPLIT_OF_COLUMN = ("train", "train", "test", "test")


def main(path: str, out_dir: str) -> None:
    """Cut four columns of tiles, ask which band is brightest, and split by column."""
    out = Path(out_dir)
    (out / "images").mkdir(parents=True, exist_ok=True)
    samples: dict[str, list[Sample]] = {"train": [], "test": []}
    with geoprose.open(path) as scene_file:
        for row in range(scene_file.height_px // TILE_PX):
            for column, split in enumerate(SPLIT_OF_COLUMN):
                scene = scene_file.read(window=(column * TILE_PX, row * TILE_PX, TILE_PX, TILE_PX), bands=[1, 2, 3])
                image = f"images/{row}_{column}.png"
                to_picture(render_rgb(scene)).save(out / image)
                answer = scene.bands[int(scene.pixels_CHW.mean(axis=(1, 2)).argmax())]
                question = Message("user", "<image>\nWhich band is brightest?")
                messages = (question, Message("assistant", answer))
                sample = Sample(f"{row}_{column}", (image,), messages, "dominant", split, (scene.georef,))
                samples[split].append(sample)
    for split, group in samples.items():
        write_samples(group, out / f"{split}.jsonl")
        write_llava(group, out / f"{split}.json")
    report = check_dataset(out)
    print(f"{report.num_samples} records {dict(report.splits)}, {report.num_images} images, clean: {report.is_clean}")
    for fault in report.faults:
        print(f"{fault.kind} {fault.count}: {fault.meaning}; {fault.examples[0]}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
