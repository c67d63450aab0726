"""8 questions with 4 options each about one picture: ours against one forward pass of transformers per option.

Same weights, CPU seconds of one thread, float32; the picture gives 576 visual tokens, the language model has the shape
of SmolLM-135M. The peer runs picture, question and option whole and reads the option's tokens from the logits.
In turn, ours answers all questions and the peer the next one: its median, times the questions, is its figure.
"""

from __future__ import annotations

import argparse
from typing import Any

from _harness import call_cpu_seconds, finish, interleave, target, versions
from _one_picture import SIZES, build, picture, questions

LEAST, MAX_DIFFERENCE = 25, 1e-4


def ours(system: Any, texts: list[str], options: tuple[str, ...]) -> list[tuple[float, ...]]:
    """Score all options of all questions at once."""
    from geoprose.inference.likelihood import OptionRequest, rank_options

    shown = picture()
    return rank_options(system, [OptionRequest((shown,), text, options) for text in texts])


def peer(system: Any, theirs: Any, texts: list[str], options: tuple[str, ...]) -> list[tuple[float, ...]]:
    """Score one option after the other, each in one pass over everything."""
    import torch

    from geoprose.systems.batch import prepare_batch

    scores = []
    for text in texts:
        batch = prepare_batch(system, [([picture()], text)])
        row = []
        for option in options:
            ids = torch.tensor([system.processor.tokenizer.encode(option, add_special_tokens=False)])
            whole = torch.cat([batch["input_ids"], ids], dim=-1)
            with torch.inference_mode():
                logits = theirs(
                    input_ids=whole,
                    attention_mask=torch.ones_like(whole),
                    pixel_values=batch["pixel_values"],
                    logits_to_keep=ids.shape[1] + 1,
                    use_cache=False,
                ).logits[0, :-1]
            row.append(float(logits.log_softmax(-1).gather(-1, ids[0, :, None]).sum()))
        scores.append(tuple(row))
    return scores


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object (always on)")
    parser.add_argument("--questions", type=int, default=8)
    arguments = parser.parse_args()
    system, theirs = build()
    texts, options = questions(arguments.questions), ("yes", "no!", "two", "sea")
    said: dict[str, list[tuple[float, ...]]] = {"ours": [], "peer": []}
    left = iter(texts)
    measures = {
        "ours": lambda: call_cpu_seconds(lambda: said.update(ours=ours(system, texts, options))),
        "peer": lambda: call_cpu_seconds(lambda: said["peer"].extend(peer(system, theirs, [next(left)], options))),
    }
    measures["ours"]()  # the peer has no first call to pay for: its passes are alike
    seconds = interleave(measures, runs=len(texts), warmup=0)
    seconds["peer"] *= len(texts)
    pairs = [
        (mine, other)
        for row, other_row in zip(said["ours"], said["peer"], strict=True)
        for mine, other in zip(row, other_row, strict=True)
    ]
    best = sum(row.index(max(row)) == other.index(max(other)) for row, other in zip(*said.values(), strict=True))
    targets = [
        target("options per CPU second over one pass each", seconds["peer"] / seconds["ours"], LEAST, False),
        target("largest difference of a score", max(abs(a - b) for a, b in pairs), MAX_DIFFERENCE, True),
        target("questions with the same best option", best, len(texts), False),
    ]
    finish(
        {
            "benchmark": "likelihood",
            "figures": {
                "cpu_s": {name: round(value, 2) for name, value in seconds.items()},
                "largest_difference": max(abs(a - b) for a, b in pairs),
                "distinct_scores": len({round(mine, 3) for mine, _ in pairs}),
            },
            "ratios": {item["name"]: item["figure"] for item in targets},
            "sizes": {**SIZES, "questions": len(texts), "options": options},
            "versions": versions("geoprose", "torch", "transformers"),
            "targets": targets,
        }
    )


if __name__ == "__main__":
    main()
