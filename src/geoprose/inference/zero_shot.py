"""What a dual encoder is for: embeddings for retrieval, and a classifier for any dataset from its label text.

The brief's two steps: (1) the towers are pretrained on pairs; (2) the classifier of a dataset is made from its label
text alone, and compared with the embedding of each picture.

Shapes: N pictures, B texts, K labels, D shared width, Q queries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from geoprose.core.errors import ConfigError, InputError
from geoprose.inference.features import open_picture

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from PIL.Image import Image
    from torch import Tensor

    from geoprose.systems.build import System

BATCH_SIZE = 32


@dataclass(frozen=True)
class Ranked:
    """A label and how likely it is: a share of all labels for a softmax model, on its own for a sigmoid model."""

    label: str
    probability: float


def _batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    if not items:
        raise InputError("Nothing was given to embed.")
    return (items[start : start + size] for start in range(0, len(items), size))


def _encoder(system: System[Any]) -> Any:
    if system.spec.kind != "dual_encoder":
        raise ConfigError(
            f"System {system.spec.name} is of kind {system.spec.kind}; embeddings need a dual encoder, such as "
            "clip-vit-l-14 or remoteclip."
        )
    return system.model


@torch.inference_mode()
def embed_images(system: System[Any], images: Sequence[Image | Path], batch_size: int = BATCH_SIZE) -> Tensor:
    """Return unit vectors (N, D) of pictures, in order, on the CPU.

    Raises:
        ConfigError: If the system is no dual encoder.
        InputError: If there is no picture.
        DataError: If a file cannot be read.
    """
    model = _encoder(system)
    parts = []
    for batch in _batches(images, batch_size):
        pixels = system.processor.encode_images([open_picture(image) for image in batch])["pixel_values"]
        parts.append(model.embed_images(pixels.to(device=model.device, dtype=model.dtype)).cpu())
    return torch.cat(parts)


@torch.inference_mode()
def embed_texts(system: System[Any], texts: Sequence[str], batch_size: int = BATCH_SIZE) -> Tensor:
    """Return unit vectors (B, D) of texts, in order, on the CPU.

    Raises:
        ConfigError: If the system is no dual encoder.
        InputError: If there is no text, or one is empty.
    """
    model = _encoder(system)
    parts = []
    for batch in _batches(texts, batch_size):
        encoded = {name: value.to(model.device) for name, value in system.processor.encode_texts(batch).items()}
        parts.append(model.embed_texts(**encoded).cpu())
    return torch.cat(parts)


class LabelClassifier:
    """A classifier whose weights are the embeddings of its labels.

    Args:
        system: A dual encoder.
        labels: The classes of a dataset.
        templates: Prompts with ``{}`` for the label; the preset's by default. The embeddings of a label's prompts are
            averaged and brought back to unit length (prompt ensembling, CLIP section 3.1.4).

    Raises:
        ConfigError: If the system is no dual encoder, or a template has no ``{}``.
        InputError: If there is no label, or one is given twice.
    """

    def __init__(self, system: System[Any], labels: Sequence[str], templates: Sequence[str] | None = None) -> None:
        _encoder(system)
        chosen = tuple(templates if templates is not None else system.spec.templates)
        if not chosen or not all(template.count("{}") == 1 for template in chosen):
            raise ConfigError(f"Every template needs exactly one {{}} for the label, got {list(chosen)}.")
        if not labels or len(set(labels)) != len(labels):
            raise InputError("Give at least one label, each only once.")
        self._system = system
        self.labels = tuple(labels)
        prompts = [template.replace("{}", label) for label in labels for template in chosen]
        vectors_KTD = embed_texts(system, prompts).reshape(len(labels), len(chosen), -1)
        self.weight_KD = F.normalize(vectors_KTD.mean(1), dim=-1)

    @torch.inference_mode()
    def logits(self, images: Sequence[Image | Path]) -> Tensor:
        """Return the similarity of every picture to every label (N, K), scale and bias applied."""
        images_ND = embed_images(self._system, images)
        model = self._system.model
        similarity: Tensor = model.similarity(images_ND.to(model.device), self.weight_KD.to(model.device)).cpu()
        return similarity

    def classify(self, images: Sequence[Image | Path], top: int = 1) -> list[list[Ranked]]:
        """Return the ``top`` labels of every picture, likeliest first."""
        logits_NK = self.logits(images)
        is_softmax = self._system.spec.logits.loss == "softmax"
        chances_NK = logits_NK.softmax(-1) if is_softmax else logits_NK.sigmoid()
        best = chances_NK.topk(min(top, len(self.labels)), dim=-1)
        return [
            [Ranked(self.labels[index], value) for value, index in zip(values, indices, strict=True)]
            for values, indices in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        ]


def nearest(queries_QD: Tensor, corpus_ND: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the cosine (Q, k) and the index (Q, k) of the nearest ``k`` vectors, nearest first.

    Args:
        queries_QD: Unit vectors, texts for instance.
        corpus_ND: Unit vectors to look among, pictures for instance.
        k: How many; at most N are returned.

    Raises:
        InputError: If the widths differ or the corpus is empty.
    """
    if len(corpus_ND) == 0 or queries_QD.shape[-1] != corpus_ND.shape[-1]:
        raise InputError(
            f"Queries {tuple(queries_QD.shape)} and corpus {tuple(corpus_ND.shape)} do not fit; embed both with one "
            "system, and at least one item."
        )
    found = (queries_QD @ corpus_ND.T).topk(min(k, len(corpus_ND)), dim=-1)
    return found.values, found.indices
