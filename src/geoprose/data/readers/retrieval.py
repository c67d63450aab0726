"""Image-text retrieval, both ways, from pictures with captions."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from geoprose.core.types import Message, Sample
from geoprose.data.readers.picture import json_list

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from geoprose.data.readers.picture import Picture

IMAGE_TO_TEXT, TEXT_TO_IMAGE = "image_to_text", "text_to_image"


def retrieval_samples(captioned: Sequence[tuple[Picture, Sequence[str]]]) -> Iterator[Sample]:
    """Yield one query per picture and one per caption.

    The candidates of a query are the queries of the other side, so its answers are sample ids: a picture's own id, and
    ``<picture>#<number>`` for its captions. Equal captions count as the same text: ``answers`` lists every relevant
    candidate, the published ones first, and ``captions_of`` names the one picture that the published protocol accepts.

    Source: protocol of RemoteCLIP (retrieval.py): every caption is a query of its own, pictures named once.
    """
    owners: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for picture, captions in captioned:
        for number, caption in enumerate(captions):
            owners[comparable(caption)].append((picture.id, number))
    for picture, captions in captioned:
        own = [caption_id(picture.id, number) for number in range(len(captions))]
        equal = [caption_id(*owner) for caption in captions for owner in owners[comparable(caption)]]
        question = Sample(
            id=picture.id,
            images=picture.images,
            messages=(Message("user", "<image>"), Message("assistant", own[0])),
            task=IMAGE_TO_TEXT,
            split=picture.split,
            meta={**picture.meta, "answers": json_list(list(dict.fromkeys([*own, *equal]))), "captions_of": picture.id},
        )
        yield question
        for number, caption in enumerate(captions):
            holders = json_list(list(dict.fromkeys([picture.id, *(owner for owner, _ in owners[comparable(caption)])])))
            yield Sample(
                id=caption_id(picture.id, number),
                images=(),
                messages=(Message("user", caption), Message("assistant", picture.id)),
                task=TEXT_TO_IMAGE,
                split=picture.split,
                meta={**picture.meta, "answers": holders, "captions_of": picture.id},
            )


def caption_id(picture_id: str, number: int) -> str:
    """Return the sample id of a caption."""
    return f"{picture_id}#{number}"


def comparable(caption: str) -> str:
    """Return a caption in lower case with single spaces and no final stop: equal ones are the same text."""
    return " ".join(caption.lower().split()).rstrip(" .")
