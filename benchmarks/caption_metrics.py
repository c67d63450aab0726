"""BLEU-1..4, ROUGE-L and CIDEr of 10,000 captions with 5 references: ours against pycocoevalcap and its Java words.

Both get the same raw sentences, interleaved in one run; CPU seconds include child processes (the tokenizer is Java).
Captions are generated from a seed: short sentences of a small vocabulary, with capitals, commas, numbers, hyphens,
contractions and brackets, many n-grams shared between pictures, some references repeated. Without Java or pycocoevalcap
only our own figures are printed.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import resource
import shutil
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from _harness import finish, interleave, target, versions

from geoprose.data.sentences.cider import cider
from geoprose.data.sentences.ngrams import encode_captions
from geoprose.data.sentences.tokens import _tokens_of, tokenise_caption
from geoprose.evaluation.metrics.text.bleu import bleu
from geoprose.evaluation.metrics.text.rouge import rouge_l

if TYPE_CHECKING:
    from collections.abc import Callable

MIN_RATIO, MAX_DIFFERENCE = 10.0, 1e-9
NUM_REFERENCES = 5
_NOUNS = [
    "planes",
    "cars",
    "buildings",
    "trees",
    "ponds",
    "roads",
    "ships",
    "courts",
    "fields",
    "tanks",
    "houses",
    "bridges",
    "stadiums",
    "rivers",
    "farms",
]
_ADJECTIVES = [
    "green",
    "white",
    "large",
    "small",
    "dense",
    "bare",
    "red-roofed",
    "many",
    "several",
    "orderly",
    "gray",
    "two",
    "3",
    "L-shaped",
]
_PLACES = [
    "an airport",
    "a road",
    "the river",
    "a dense residential area",
    "a parking lot",
    "the harbor",
    "bare land",
    "the U.S. border",
]
_VERBS = [
    "are near",
    "are next to",
    "stand beside",
    "surround",
    "are on one side of",
    "aren't far from",
    "lie between the trees and",
]
_TAILS = ("", "", ".", " .", " in the picture.", ", with some grass", " (seen from above).", " and it's crowded!")


def sentence(draw: random.Random) -> str:
    """One generated caption."""
    words = f"{draw.choice(_ADJECTIVES)} {draw.choice(_NOUNS)} {draw.choice(_VERBS)} {draw.choice(_PLACES)}"
    if draw.random() < 0.4:
        words += f" with {draw.choice(_ADJECTIVES)} {draw.choice(_NOUNS)}"
    return (words.capitalize() if draw.random() < 0.5 else words) + draw.choice(_TAILS)


def captions(num_items: int) -> tuple[list[str], list[list[str]]]:
    """Candidates and their references."""
    draw = random.Random(0)
    references = []
    for _ in range(num_items):
        own = [sentence(draw) for _ in range(NUM_REFERENCES)]
        if draw.random() < 0.3:
            own[-1] = own[0]
        references.append(own)
    return [sentence(draw) for _ in range(num_items)], references


def ours(candidates: list[str], references: list[list[str]]) -> dict[str, float]:
    """Our figures of the set, with nothing known from an earlier run."""
    _tokens_of.cache_clear()
    encoded = encode_captions(
        [tokenise_caption(text) for text in candidates],
        [[tokenise_caption(text) for text in own] for own in references],
    )
    values = {f"bleu_{order + 1}": value for order, value in enumerate(bleu(encoded))}
    return {**values, "rouge_l": float(rouge_l(encoded).mean()), "cider": float(cider(encoded).mean())}


def theirs(candidates: list[str], references: list[list[str]]) -> dict[str, float]:
    """Pycocoevalcap's figures of the set."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    tokenizer = PTBTokenizer()
    own = tokenizer.tokenize({place: [{"caption": text}] for place, text in enumerate(candidates)})
    other = tokenizer.tokenize({place: [{"caption": text} for text in texts] for place, texts in enumerate(references)})
    with contextlib.redirect_stdout(sys.stderr):
        values = {f"bleu_{order + 1}": value for order, value in enumerate(Bleu(4).compute_score(other, own)[0])}
        rouge, cider_d = Rouge().compute_score(other, own)[0], Cider().compute_score(other, own)[0]
    return {**values, "rouge_l": float(rouge), "cider": float(cider_d)}


def cpu_seconds(function: Callable[[], dict[str, float]], into: dict[str, float]) -> float:
    """CPU seconds of one call with its child processes; its figures go to ``into``."""
    before = _cpu()
    into.update(function())
    return _cpu() - before


def _cpu() -> float:
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object (always on)")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--items", type=int, default=10_000)
    arguments = parser.parse_args()
    candidates, references = captions(arguments.items)
    found: dict[str, dict[str, float]] = {"ours": {}, "pycocoevalcap": {}}
    measures = {"ours": lambda: cpu_seconds(lambda: ours(candidates, references), found["ours"])}
    has_peer = shutil.which("java") is not None and find_spec("pycocoevalcap") is not None
    if has_peer:
        measures["pycocoevalcap"] = lambda: cpu_seconds(lambda: theirs(candidates, references), found["pycocoevalcap"])
    seconds = interleave(measures, arguments.runs)
    targets, ratios = [], {}
    if has_peer:
        ratios = {"pycocoevalcap over ours": round(seconds["pycocoevalcap"] / seconds["ours"], 2)}
        difference = max(abs(value - found["pycocoevalcap"][name]) for name, value in found["ours"].items())
        targets = [
            target("CPU time of pycocoevalcap over ours", ratios["pycocoevalcap over ours"], MIN_RATIO, False),
            target("largest difference of a figure", difference, MAX_DIFFERENCE, True),
        ]
    result: dict[str, Any] = {
        "benchmark": "caption_metrics",
        "figures": {"cpu_s": {name: round(value, 3) for name, value in seconds.items()}, "values": found},
        "ratios": ratios,
        "sizes": {"runs": arguments.runs, "items": arguments.items, "references": NUM_REFERENCES, "has_peer": has_peer},
        "versions": versions("geoprose", "numpy", "pycocoevalcap"),
        "targets": targets,
    }
    if has_peer:
        result["figures"]["largest_difference"] = difference
    finish(result)


if __name__ == "__main__":
    main()
