"""Why retrieval fails: the shape of a dual encoder's embeddings of pictures and texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field, PositiveInt

from geoprose.core.errors import TaskError
from geoprose.evaluation.aggregate import MAX_UNITS
from geoprose.evaluation.answering.retrieval import IMAGE_TO_TEXT, TEXT_TO_IMAGE
from geoprose.evaluation.diagnostics.base import Diagnostic, Finding
from geoprose.evaluation.diagnostics.conditions import Bench
from geoprose.evaluation.diagnostics.embedding_geometry import (
    alignment,
    effective_rank,
    modality_gap,
    occurrences,
    potentials,
    skewness,
    uniformity,
)
from geoprose.evaluation.diagnostics.resampling import Resamples, interval, plain
from geoprose.evaluation.predictions import question_of, references_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from geoprose.core.types import JsonValue, Sample
    from geoprose.evaluation.diagnostics.base import Request

NUM_RESAMPLES = 200


@dataclass(frozen=True)
class Pairs:
    """Pictures and texts, each kept once, and which belong together.

    Attributes:
        images: Paths of the pictures.
        texts: Texts, none twice.
        pairs: Places of picture and text of each positive pair.
        repeated: Texts that occurred more than once.
    """

    images: tuple[str, ...]
    texts: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...]
    repeated: int


class RetrievalCollapse(Diagnostic):
    """Alignment, uniformity, hubs, rank and gap of a dual encoder."""

    title: ClassVar[str] = "Shape of the embeddings"
    description: ClassVar[str] = (
        "Alignment (how near a picture lies to its text, 0 best) and uniformity (how evenly embeddings cover the "
        "sphere, about -4 best, 0 when all fall on one point) of Wang and Isola; hubs, which are candidates that many "
        "queries find; the effective rank; and the gap between pictures and texts. The headline is the uniformity of "
        "the pictures."
    )

    max_items: int = Field(default=2000, ge=2, le=MAX_UNITS)
    """Pictures that are embedded at most, chosen by the seed; every text of a picture goes with it. Also the most texts
    whose pairs are looked at for the uniformity."""
    neighbours: PositiveInt = 10
    """Nearest candidates that are counted for hubs."""
    t: float = Field(default=2.0, gt=0)
    """Temperature of the uniformity."""

    def run(self, request: Request) -> Finding:
        """Embed the pictures and texts of the task's samples and measure their shape."""
        from geoprose.inference.zero_shot import embed_images, embed_texts

        bench = Bench(request)
        found = self._fewer(pairs_of(bench.set.asked))
        if len(found.images) < 2 or len(found.texts) < 2:
            raise TaskError(
                f"Task {bench.task.name} gives {len(found.images)} pictures and {len(found.texts)} texts; the shape of "
                "embeddings needs at least two of each. Give a retrieval or captioning task."
            )
        paths = [bench.data_dir / image for image in found.images]
        system = bench.loaded.system
        images_ND = embed_images(system, paths).double().numpy()
        texts_MD = embed_texts(system, found.texts).double().numpy()
        return self._finding(bench, found, images_ND, texts_MD)

    def _fewer(self, found: Pairs) -> Pairs:
        """Return at most ``max_items`` pictures with their texts."""
        if len(found.images) <= self.max_items:
            return found
        chosen = np.random.default_rng(self.seed).choice(len(found.images), self.max_items, replace=False)
        place_of = {int(old): new for new, old in enumerate(np.sort(chosen))}
        kept = [(place_of[image], text) for image, text in found.pairs if image in place_of]
        texts = {text: place for place, text in enumerate(dict.fromkeys(text for _, text in kept))}
        return Pairs(
            tuple(found.images[old] for old in place_of),
            tuple(found.texts[text] for text in texts),
            tuple((image, texts[text]) for image, text in kept),
            found.repeated,
        )

    def _finding(
        self, bench: Bench, found: Pairs, images_ND: NDArray[np.float64], texts_MD: NDArray[np.float64]
    ) -> Finding:
        sides = {"pictures": images_ND, "texts": texts_MD}
        rows = {name: self._side(vectors) for name, vectors in sides.items()}
        places = np.array(found.pairs)
        distances_P = alignment(images_ND[places[:, 0]], texts_MD[places[:, 1]])
        draws = Resamples([image for image, _ in found.pairs], self.seed, NUM_RESAMPLES)
        low, high = interval(draws.means(distances_P)[0])
        k = self.neighbours
        hubs = {
            "pictures found by texts": _hub_row(occurrences(texts_MD, images_ND, min(k, len(images_ND))), k),
            "texts found by pictures": _hub_row(occurrences(images_ND, texts_MD, min(k, len(texts_MD))), k),
        }
        shown: dict[str, JsonValue] = {
            "n": len(distances_P),
            "alignment": float(distances_P.mean()),
            "low": low,
            "high": high,
            "modality_gap": modality_gap(images_ND, texts_MD),
            "texts_that_occur_more_than_once": found.repeated,
        }
        head = rows["pictures"]
        return Finding(
            "uniformity of the pictures",
            float(str(head["uniformity"])),
            len(found.images),
            (float(str(head["low"])), float(str(head["high"]))),
            is_share=False,
            tables={"pairs": shown, "sides": dict(rows), "hubs": dict(hubs), "spectrum": _spectrum(sides)},
            facts=bench.system_facts(),
        )

    def _side(self, vectors_ND: NDArray[np.float64]) -> dict[str, JsonValue]:
        chosen = np.sort(np.random.default_rng(self.seed).permutation(len(vectors_ND))[: self.max_items])
        kernel = potentials(vectors_ND[chosen], self.t)  # all pairs: bounded, since texts may be many
        draws = Resamples(list(range(len(chosen))), self.seed, NUM_RESAMPLES)
        low, high = interval(uniformity(kernel, draws.draws_RC))
        rank = effective_rank(vectors_ND)
        return {
            "n": len(vectors_ND),
            "uniformity": float(uniformity(kernel)[0]),
            "low": plain(low),
            "high": plain(high),
            "effective_rank": rank,
            "rank_at_most": min(len(vectors_ND) - 1, vectors_ND.shape[1]),
            "mean_cosine": float((vectors_ND.mean(0) ** 2).sum()),
        }


def pairs_of(samples: Sequence[Sample]) -> Pairs:
    """Return the pictures of the samples and the texts that belong to them.

    Of a retrieval task these are its queries; of any other task the references of each sample with one picture.
    """
    kinds = {sample.task for sample in samples}
    is_retrieval = kinds <= {TEXT_TO_IMAGE, IMAGE_TO_TEXT}
    named = [
        (sample.images[0], text) for sample in samples if len(sample.images) == 1 for text in references_of(sample)
    ]
    if is_retrieval:
        image_of = {sample.id: sample.images[0] for sample in samples if sample.task == IMAGE_TO_TEXT}
        named = [
            (image_of[answer], question_of(sample))
            for sample in samples
            if sample.task == TEXT_TO_IMAGE
            for answer in references_of(sample)
            if answer in image_of
        ]
    images = {image: place for place, image in enumerate(dict.fromkeys(image for image, _ in named))}
    texts = {text: place for place, text in enumerate(dict.fromkeys(text for _, text in named if text.strip()))}
    pairs = dict.fromkeys((images[image], texts[text]) for image, text in named if text in texts)
    return Pairs(
        tuple(images), tuple(texts), tuple(pairs), len({t for t in texts if sum(p == texts[t] for _, p in pairs) > 1})
    )


def _hub_row(counts: NDArray[np.int64], k: int) -> dict[str, JsonValue]:
    return {
        "n": len(counts),
        "skewness": skewness(counts),
        "found_most": int(counts.max()),
        "found_on_average": float(counts.mean()),
        "share_never_found": float((counts == 0).mean()),
        "k": k,
    }


def _spectrum(sides: dict[str, NDArray[np.float64]]) -> dict[str, JsonValue]:
    """Return the share of the variance that the first directions hold."""
    series: dict[str, JsonValue] = {}
    longest = 0
    for name, vectors in sides.items():
        values = np.linalg.svd(vectors - vectors.mean(0), compute_uv=False) ** 2
        shares = np.cumsum(values)[:32] / max(float(values.sum()), 1e-30)
        series[name] = [float(share) for share in shares]
        longest = max(longest, len(shares))
    axis: list[JsonValue] = list(range(1, longest + 1))
    labels = {"x_label": "directions", "y_label": "share of the variance"}
    return {"kind": "curve", "x": axis, "series": series, **labels}
