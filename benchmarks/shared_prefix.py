"""64 questions about one picture: ours against ``generate`` of transformers, one question at a time, same weights.

The picture gives 576 visual tokens, the language model has the shape of SmolLM-135M. CPU seconds of one thread,
float32. The peer answers a part of the questions, each alone, so its time grows in step with their number; ours answers
all of them at once. Memory is how far it rises in a process of its own.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any
from unittest import mock

from _harness import call_cpu_seconds, finish, in_fresh_process, interleave, peak_rise_kib, target, versions
from _one_picture import SIZES, build, picture, questions, spelled

NEW_TOKENS = 8
LEAST = {"copy": 12, "cascade": 20}
MEMORY_QUESTIONS = (64, 128)
MAX_MEMORY_GROWTH = 1.25


def ours(system: Any, texts: list[str], sharing: str) -> list[str]:
    """Answer all questions at once."""
    from geoprose.inference.generate import Request, answer_batch

    shown = picture()
    with mock.patch("geoprose.inference.generate._decode", spelled):
        return answer_batch(system, [Request((shown,), text) for text in texts], NEW_TOKENS, sharing=sharing)


def peer(system: Any, theirs: Any, texts: list[str]) -> list[str]:
    """Answer one question after the other through ``generate`` of transformers."""
    import torch

    from geoprose.systems.batch import prepare_batch

    answers = []
    for text in texts:
        batch = prepare_batch(system, [([picture()], text)])
        batch.pop("visual_layouts", None)
        with torch.inference_mode():
            ids = theirs.generate(**batch, do_sample=False, max_new_tokens=NEW_TOKENS, pad_token_id=0)
        answers.append(spelled(None, ids[0, batch["input_ids"].shape[1] :].tolist()))
    return answers


def peak_kib(sharing: str, count: int) -> float:
    """Peak of resident memory above that of the loaded model, in a process of its own."""
    return in_fresh_process("shared_prefix", f"measured_kib({sharing!r}, {count})")


def measured_kib(sharing: str, count: int) -> float:
    """Answer and return how far the resident memory rose."""
    system, _ = build()
    ours(system, questions(2), sharing)
    return peak_rise_kib(lambda: ours(system, questions(count), sharing))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object (always on)")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--questions", type=int, default=64)
    parser.add_argument("--peer-questions", type=int, default=8)
    arguments = parser.parse_args()
    system, theirs = build()
    texts = questions(arguments.questions)
    part = texts[:: max(1, len(texts) // arguments.peer_questions)][: arguments.peer_questions]
    said: dict[str, list[str]] = {}
    measures = {"peer": lambda: call_cpu_seconds(lambda: said.update(peer=peer(system, theirs, part)))}
    for way in LEAST:
        measures[way] = lambda w=way: call_cpu_seconds(lambda: said.update({w: ours(system, texts, w)}))
    warm_up = questions(2)
    peer(system, theirs, warm_up)
    for way in LEAST:
        ours(system, warm_up, way)
    seconds = interleave(measures, runs=arguments.runs, warmup=0)
    speed = {name: (len(part) if name == "peer" else len(texts)) / value for name, value in seconds.items()}
    answered = {way: dict(zip(texts, said[way], strict=True)) for way in LEAST}
    same = {way: sum(answered[way][q] == a for q, a in zip(part, said["peer"], strict=True)) for way in LEAST}
    print(f"questions per CPU second: {speed}, same as the peer: {same}", file=sys.stderr)
    memory = {way: {str(count): peak_kib(way, count) for count in MEMORY_QUESTIONS} for way in LEAST}
    targets = []
    for way, least in LEAST.items():
        few, many = (memory[way][str(count)] for count in MEMORY_QUESTIONS)
        targets += [
            target(f"{way} questions per CPU second over transformers", speed[way] / speed["peer"], least, False),
            target(f"{way} rows with identical tokens, of {len(part)}", same[way], len(part), False),
            target(f"{way} memory of 128 questions over that of 64", many / few, MAX_MEMORY_GROWTH, True),
        ]
    finish(
        {
            "benchmark": "shared_prefix",
            "figures": {
                "questions_per_cpu_s": {name: round(value, 3) for name, value in speed.items()},
                "cpu_s": {name: round(value, 2) for name, value in seconds.items()},
                "rows_both_ways_alike": sum(a == b for a, b in zip(said["copy"], said["cascade"], strict=True)),
                "distinct_answers": len(set(said["cascade"])),
                "peak_kib": memory,
            },
            "ratios": {item["name"]: item["figure"] for item in targets},
            "sizes": {**SIZES, "questions": len(texts), "peer_questions": len(part), "new_tokens": NEW_TOKENS},
            "versions": versions("geoprose", "torch", "transformers"),
            "targets": targets,
        }
    )


if __name__ == "__main__":
    main()
