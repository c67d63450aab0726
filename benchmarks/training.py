"""A training step of ours beside bare transformers and TRL's SFTTrainer: same weights, same pictures, same words.

The system is LLaVA-1.5's arrangement with a ViT-B at 336 px (576 visual tokens) and a language model of 135 million
parameters, random weights, float32; its tokenizer is SmolLM2's, so that words are as many tokens as in a real run.
Align trains the connector on one caption a picture; instruct trains connector and language model on sixteen questions
about one picture. Ours reads the frozen encoder's features from the cache, as the engine does; what encoding costs once
is reported beside. Loss and gradients are compared before anything is timed: in float32, and in float64, which says how
far each side's float32 lies from the truth.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _gradients import difference, gradients_of, whole_set
from _harness import call_cpu_seconds, finish, in_fresh_process, interleave, peak_rise_kib, target, versions

if TYPE_CHECKING:
    from collections.abc import Callable

MIN_ALIGN, MIN_INSTRUCT, MIN_MEMORY, MAX_DIFFERENCE = 1.4, 10.0, 6.0, 1e-5
HEAD_POSITIONS, HEAD_ANSWERS, HEAD_VOCABULARY, HEAD_WIDTH = 1024, 128, 32768, 576
WORDS = ("water", "forest", "harbour", "runway", "field", "roof", "road", "river", "court", "ship", "plane", "bridge")
QUESTION, CAPTION_WORDS = "Is there a {} next to the {} in this image?", 12
# The weights are random; the tokenizer is the asset's, and so is the token that ends a turn.
LANGUAGE = {
    "language_model": {"weights": {"asset": "smollm2-135m-instruct", "hub_id": None, "revision": None}},
    "prompt": {"start": "", "assistant_stop": "<|im_end|>"},
}
SIZES: dict[str, dict[str, Any]] = {
    "full": {
        "resolution": {"image_size": 336},
        "vision_encoder": {
            "config": {
                "hidden_size": 768,
                "num_hidden_layers": 12,
                "num_attention_heads": 12,
                "intermediate_size": 3072,
                "patch_size": 14,
            }
        },
        "language_model": {
            "config": {
                "hidden_size": 576,
                "num_hidden_layers": 30,
                "num_attention_heads": 9,
                "num_key_value_heads": 3,
                "intermediate_size": 1536,
                "vocab_size": 49152,
            }
        },
    },
    "small": {
        "resolution": {"image_size": 168},
        "vision_encoder": {
            "config": {
                "hidden_size": 192,
                "num_hidden_layers": 6,
                "num_attention_heads": 6,
                "intermediate_size": 768,
                "patch_size": 14,
            }
        },
        "language_model": {
            "config": {
                "hidden_size": 192,
                "num_hidden_layers": 6,
                "num_attention_heads": 6,
                "num_key_value_heads": 6,
                "intermediate_size": 512,
                "vocab_size": 49152,
            }
        },
    },
}


@dataclass
class Case:
    """One stage's data: how many pictures, questions about each, rows of a peer's micro-batch, and what trains."""

    name: str
    pictures: int
    questions: int
    peer_rows: int
    trainable: tuple[str, ...]


CASES = (
    Case("align", 4, 1, 4, ("connector.*",)),
    Case("instruct", 1, 16, 4, ("connector.*", "language_model.*", "lm_head.*")),
)


def save_start(size: str, folder: Path) -> Path:
    """Save the system of random weights that every side starts from."""
    import torch

    from geoprose.core.spec import merge
    from geoprose.systems.build import build_system
    from geoprose.systems.presets import load_preset
    from geoprose.systems.save import save_system

    spec = load_preset("llava-1.5")
    values = merge(spec.model_dump(mode="json"), merge(LANGUAGE, SIZES[size]))
    system = build_system(type(spec).model_validate(values), weights=False, dtype=torch.float32)
    return Path(save_system(system, folder / "start"))


def twin(system: Any) -> tuple[Any, Any]:
    """Return the transformers model with the same weights, and the map between the names."""
    from geoprose.systems.interop import REFERENCES

    reference = REFERENCES.get(system.spec.reference)()
    return reference.build(system.model), reference.key_map(system.model.config)


def write_data(folder: Path, case: Case) -> None:
    """Write pictures of noise and records about them."""
    import numpy as np
    from PIL import Image

    from geoprose.core.types import Message, Sample
    from geoprose.data.neutral import write_samples

    random = np.random.default_rng(0)
    samples = []
    for picture in range(case.pictures):
        path = f"{picture}.png"
        Image.fromarray(random.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(folder / path)
        for number in range(case.questions):
            asked = QUESTION.format(*random.choice(WORDS, 2, replace=False))
            answer = str(random.choice(("yes", "no")))
            if case.questions == 1:
                asked, answer = "Describe the image.", " ".join(random.choice(WORDS, CAPTION_WORDS))
            messages = (Message("user", f"<image>\n{asked}"), Message("assistant", answer))
            samples.append(Sample(f"{picture}-{number}", (path,), messages, "vqa", "train", (None,), {}))
    write_samples(samples, folder / "train.jsonl")


def open_stage(case: Case, start: Path, folder: Path, is_exact: bool = False) -> Any:
    """Open the engine's session of a recipe of this one stage; an exact one computes in float64, encoder included."""
    from geoprose.training.session import open_session
    from geoprose.training.specs.recipe import RecipeSpec

    stage = {
        "name": case.name,
        "trainable": case.trainable,
        "data": [{"path": "train.jsonl"}],
        "packing": "shared_prefix",
        "steps": 1,
        "batch_size": case.pictures,
        "learning_rate": 1e-3,
    }
    values = {"name": "benchmark", "system": str(start), "stages": [stage]}
    features = {"cache": "none" if is_exact else "run", "dtype": "fp32"}  # the cache holds float32 at best
    session = open_session(RecipeSpec.model_validate({**values, "features": features}), folder, folder / "run")
    if is_exact:
        session.system.model.double()
    return session


def our_step(session: Any) -> tuple[Callable[[], float], float]:
    """Return a step that makes the batch, and goes forward and backward; and the CPU seconds of encoding once."""
    from geoprose.training.forward import Forward
    from geoprose.training.rows.batches import StageBatches, build_mixture
    from geoprose.training.session import enter_stage
    from geoprose.training.stage import make_losses

    stage, model = session.recipe.stages[0], session.system.model
    session.scan_images()
    enter_stage(model, stage, 0)
    visions: list[Any] = []
    encoding_s = call_cpu_seconds(lambda: visions.append(session.vision(0)))
    losses = make_losses(session, 0, session.sources[stage.name])
    mixture = build_mixture(stage, session.sources[stage.name], 0)
    batches = StageBatches(stage, session.system, mixture, visions[0], losses)
    model.train()

    def step() -> float:
        model.zero_grad(set_to_none=True)
        batch = batches[0]
        value = losses[0].loss_sum(Forward(model, batch)) / losses[0].num_items(batch)
        value.backward()
        return float(value.detach())

    return step, encoding_s


def peer_batches(system: Any, case: Case, folder: Path) -> list[dict[str, Any]]:
    """Return the micro-batches of the peer: every question is a row with its own picture, padded right."""
    import torch
    from PIL import Image

    from geoprose.data.neutral import read_samples

    processor = system.processor
    samples = list(read_samples(folder / "train.jsonl"))
    batches = []
    for start in range(0, len(samples), case.peer_rows):
        rows = samples[start : start + case.peer_rows]
        encoded = [processor.encode_conversation(list(s.messages), [processor.num_visual_tokens]) for s in rows]
        length = max(len(row.input_ids) for row in encoded)

        def padded(values: list[int], filler: int, length: int = length) -> list[int]:
            return values + [filler] * (length - len(values))

        pictures = [Image.open(folder / s.images[0]).convert("RGB") for s in rows]
        batches.append(
            {
                "input_ids": torch.tensor([padded(r.input_ids, processor.tokenizer.pad_token_id) for r in encoded]),
                "labels": torch.tensor([padded(r.labels, -100) for r in encoded]),
                "attention_mask": torch.tensor([padded([1] * len(r.input_ids), 0) for r in encoded]),
                "pixel_values": processor.image_processor(pictures, return_tensors="pt")["pixel_values"],
            }
        )
    return batches


def peer_step(model: Any, batches: list[dict[str, Any]]) -> Callable[[], float]:
    """Return forward and backward over the micro-batches; their making is not counted."""
    num_items = sum(int((batch["labels"][:, 1:] != -100).sum()) for batch in batches)

    def step() -> float:
        model.zero_grad(set_to_none=True)
        total = 0.0
        for batch in batches:
            loss = model(**batch, num_items_in_batch=num_items, use_cache=False).loss
            loss.backward()
            total += float(loss.detach())
        return total

    return step


def freeze_like(theirs: Any, ours: Any, key_map: Any) -> None:
    """Let train in the peer what trains in ours."""
    names = {name for name, parameter in ours.named_parameters() if parameter.requires_grad}
    for name, parameter in theirs.named_parameters():
        parameter.requires_grad_(bool(names & set(key_map.to_ours({name: parameter.detach()})[0])))


def sft_seconds(theirs: Any, system: Any, case: Case, folder: Path, steps: int) -> float:
    """Return CPU seconds of an optimiser step of TRL's SFTTrainer on the same rows, without its first step."""
    import time

    from datasets import Dataset
    from PIL import Image
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from geoprose.data.neutral import read_samples

    class Clock(TrainerCallback):
        times: list[float] = []  # noqa: RUF012 - one run

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.times.append(time.process_time())

    samples = list(read_samples(folder / "train.jsonl"))
    rows = {
        "prompt": [[{"role": "user", "content": s.messages[0].text.removeprefix("<image>\n")}] for s in samples],
        "completion": [[{"role": "assistant", "content": s.messages[1].text}] for s in samples],
        "images": [[Image.open(folder / s.images[0]).convert("RGB")] for s in samples],
    }
    settings = SFTConfig(
        output_dir=str(folder / "sft"),
        max_steps=steps + 1,
        per_device_train_batch_size=case.peer_rows,
        gradient_accumulation_steps=len(samples) // case.peer_rows,
        learning_rate=0.0,
        max_length=None,
        bf16=False,
        use_cpu=True,
        gradient_checkpointing=False,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        logging_strategy="no",
    )
    trainer = SFTTrainer(
        model=theirs, args=settings, train_dataset=Dataset.from_dict(rows), processing_class=system.processor
    )
    trainer.add_callback(Clock())
    trainer.train()
    return (Clock.times[-1] - Clock.times[-1 - steps]) / steps


def head_memory_kib(side: str) -> float:
    """Return how far the memory of a fresh process rises in the head and the loss of one side."""
    return in_fresh_process("training", f"measured_head_kib({side!r})")


def measured_head_kib(side: str) -> float:
    """Run head, loss and backward once small, then once at full size, and return the rise (Linux)."""
    import torch
    from torch.nn import functional as F

    from geoprose.training.losses.lm import chunked_lm_loss_sum

    torch.manual_seed(0)
    weight = torch.randn(HEAD_VOCABULARY, HEAD_WIDTH) * 0.02

    def head(states: torch.Tensor) -> torch.Tensor:
        return F.linear(states, weight)

    def pass_over(positions: int, answers: int) -> None:
        hidden = torch.randn(1, positions, HEAD_WIDTH, requires_grad=True)
        next_ids = torch.full((1, positions), -100)
        next_ids[0, -answers:] = torch.randint(0, HEAD_VOCABULARY, (answers,))
        if side == "ours":
            chunked_lm_loss_sum(hidden, next_ids, head, chunk_tokens=64).backward()
            return
        logits = head(hidden).float()
        F.cross_entropy(logits.flatten(0, 1), next_ids.flatten(), ignore_index=-100, reduction="sum").backward()

    pass_over(2, 1)  # what is imported and allocated once
    return peak_rise_kib(lambda: pass_over(HEAD_POSITIONS, HEAD_ANSWERS))


@dataclass
class Sides:
    """Both models with the same weights, frozen alike; ``ours`` is our step, ``theirs`` waits for its batches."""

    system: Any
    theirs: Any
    key_map: Any
    ours: Callable[[], float]
    encoding_s: float

    def gradients(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the gradients of both after a step, under our names."""
        return whole_set(gradients_of(self.system.model), gradients_of(self.theirs, self.key_map))


def both_sides(case: Case, start: Path, folder: Path, is_exact: bool = False) -> Sides:
    """Open both sides of a stage."""
    session = open_stage(case, start, folder, is_exact)
    theirs, key_map = twin(session.system)
    ours, encoding_s = our_step(session)
    freeze_like(theirs, session.system.model, key_map)
    return Sides(session.system, theirs.train(), key_map, ours, encoding_s)


def exact_gradients(case: Case, start: Path, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the gradients of both sides in float64, a peer's row at a time."""
    sides = both_sides(case, start, folder, is_exact=True)
    batches = peer_batches(sides.system, replace(case, peer_rows=1), folder)
    for batch in batches:
        batch["pixel_values"] = batch["pixel_values"].double()
    sides.ours()
    peer_step(sides.theirs.double(), batches)()
    return sides.gradients()


def measure(case: Case, arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Compare loss and gradients of a stage, then time it; returns its figures."""
    write_data(folder, case)
    start = save_start(arguments.size, folder)
    exact_ours, exact = exact_gradients(case, start, folder)
    sides = both_sides(case, start, folder)
    peer = peer_step(sides.theirs, peer_batches(sides.system, case, folder))
    losses = (sides.ours(), peer())
    mine, peers = sides.gradients()
    figures: dict[str, Any] = {
        "encoding_once_cpu_s": round(sides.encoding_s, 3),
        "loss": losses,
        "loss_difference": abs(losses[0] - losses[1]) / abs(losses[1]),
        "samples": case.pictures * case.questions,
        "gradient_difference": {
            "float64": difference(exact_ours, exact),
            "float32": difference(mine, peers),
            "float32_ours_from_float64": difference(mine, exact),
            "float32_transformers_from_float64": difference(peers, exact),
        },
    }
    del exact_ours, exact, mine, peers
    measures = {
        "ours": lambda: call_cpu_seconds(sides.ours),
        "transformers": lambda: call_cpu_seconds(peer),
    }
    seconds = interleave(measures, arguments.runs, warmup=0)  # the comparison above was the warm-up
    if not arguments.no_trl:
        seconds["sft_trainer"] = sft_seconds(sides.theirs, sides.system, case, folder, arguments.runs)
    return figures | {"cpu_s": {key: round(value, 3) for key, value in seconds.items()}}


def stage_targets(case: Case, figures: dict[str, Any]) -> list[dict[str, object]]:
    """Return what the issues ask of a stage, and whether it was met."""
    wanted = MIN_ALIGN if case.name == "align" else MIN_INSTRUCT
    seconds = figures["cpu_s"]
    targets = [
        target(f"{case.name} samples per CPU second over {side}", seconds[side] / seconds["ours"], wanted, False)
        for side in list(seconds)[1:]
    ]
    for dtype in ("float32", "float64"):
        apart = figures["gradient_difference"][dtype]
        targets.append(target(f"{case.name} gradient difference, {dtype}", apart, MAX_DIFFERENCE, True))
    targets.append(target(f"{case.name} loss difference", figures["loss_difference"], MAX_DIFFERENCE, True))
    return targets


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object (always on)")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--size", choices=sorted(SIZES), default="full")
    parser.add_argument("--no-trl", action="store_true", help="leave out SFTTrainer, which takes the longest")
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    figures: dict[str, Any] = {}
    targets = []
    for case in CASES:
        with tempfile.TemporaryDirectory() as name:
            figures[case.name] = measure(case, arguments, Path(name))
        targets += stage_targets(case, figures[case.name])
    memory = interleave({side: lambda s=side: head_memory_kib(s) for side in ("full", "ours")}, 3, warmup=0)
    figures["head_memory_kib"] = memory
    targets.append(target("head and loss memory below full logits", memory["full"] / memory["ours"], MIN_MEMORY, False))
    finish(
        {
            "benchmark": "training",
            "figures": figures,
            "ratios": {item["name"]: item["figure"] for item in targets},
            "sizes": {"runs": arguments.runs, "size": arguments.size, **SIZES[arguments.size]},
            "versions": versions("geoprose", "torch", "transformers", "trl"),
            "targets": targets,
        }
    )


if __name__ == "__main__":
    main()
