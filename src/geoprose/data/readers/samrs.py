"""SAMRS: masks that the Segment Anything Model drew from detection boxes, one value per class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from geoprose.core.errors import ConfigError
from geoprose.core.registry import unknown_name_message
from geoprose.data.readers.base import check_split
from geoprose.data.readers.files import first_present, inside, join, read_list
from geoprose.data.readers.masks import mask_values
from geoprose.data.readers.objects import object_words
from geoprose.data.readers.picture import Picture
from geoprose.data.readers.pictures import PictureFinder
from geoprose.data.records import fail

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from geoprose.core.types import Sample

BACKGROUND = 255
"""Value of pixels that belong to no class."""

_DOTA2 = (
    "large-vehicle swimming-pool helicopter bridge plane ship soccer-ball-field basketball-court ground-track-field "
    "small-vehicle baseball-diamond tennis-court roundabout storage-tank harbor container-crane airport helipad"
)
_DIOR = (
    "airplane airport baseballfield basketballcourt bridge chimney expressway-service-area expressway-toll-station dam "
    "golffield groundtrackfield harbor overpass ship stadium storagetank tenniscourt trainstation vehicle windmill"
)
_FAIR1M = (
    "A220 A321 A330 A350 ARJ21 Baseball-Field Basketball-Court Boeing737 Boeing747 Boeing777 Boeing787 Bridge Bus C919 "
    "Cargo-Truck Dry-Cargo-Ship Dump-Truck Engineering-Ship Excavator Fishing-Boat Football-Field Intersection "
    "Liquid-Cargo-Ship Motorboat other-airplane other-ship other-vehicle Passenger-Ship Roundabout Small-Car "
    "Tennis-Court Tractor Trailer Truck-Tractor Tugboat Van Warship"
)


@dataclass(frozen=True)
class MaskSet:
    """One part of SAMRS.

    Attributes:
        classes: Names in the order of the mask values.
        images: Candidates of the picture folder.
        masks: Candidates of the mask folder.
    """

    classes: tuple[str, ...]
    images: tuple[str, ...]
    masks: tuple[str, ...]


_TILED = ("trainval/images",), ("trainval/rhbox_segs_init/gray", "trainval/hbox_segs_init/gray")
MASK_SETS: Mapping[str, MaskSet] = {
    "sota": MaskSet(tuple(_DOTA2.split()), *_TILED),
    "sior": MaskSet(
        tuple(_DIOR.split()),
        ("JPEGImages-trainval", "images"),
        ("hbox_segs_trainvaltest_init/gray", "hbox_segs_trainval_init/gray"),
    ),
    "fast": MaskSet(tuple(_FAIR1M.split()), *_TILED),
}
"""The three parts by name."""


class SamrsReader:
    """Asks for the mask of each class that a picture holds.

    The masks are drawn by a model and not checked by people, so a score here says how far a system agrees with SAM.
    The instance files of SAMRS are pickles and are never opened.

    Args:
        part: ``sota``, ``sior`` or ``fast``.
        min_pixels: Smallest mask that is asked for.

    Source: Wang et al., "SAMRS", NeurIPS 2023 Datasets and Benchmarks; ViTAE-Transformer/SAMRS,
    main_sam_hbox_semantic.py (values of the masks).
    """

    splits = ("train", "val")

    def __init__(self, *, part: str = "sota", min_pixels: int = 1) -> None:
        if part not in MASK_SETS:
            raise ConfigError(unknown_name_message("part of SAMRS", part, MASK_SETS))
        self.part, self.min_pixels = part, min_pixels
        chosen = MASK_SETS[part]
        self.layout = (
            f"SAMRS {part.upper()} from https://github.com/ViTAE-Transformer/SAMRS: {chosen.images[0]}/, "
            f"{chosen.masks[0]}/*.png, and beside them train.txt and valid.txt with the names of the pictures."
        )

    def read(self, root: Path, split: str) -> Iterator[Sample]:
        """Yield the questions about the pictures of a split's list."""
        check_split(split, self.splits, self.layout)
        chosen = MASK_SETS[self.part]
        images = first_present(root, chosen.images, self.layout)
        masks = first_present(root, chosen.masks, self.layout)
        list_name = "train.txt" if split == "train" else "valid.txt"
        name = first_present(root, (list_name, join(images.split("/")[0], list_name)), self.layout)
        finder = PictureFinder(root, images, self.layout)
        for line in read_list(root, name, self.layout):
            stem = inside(line, name)
            mask = join(masks, f"{stem}.png")
            picture = Picture(stem, (finder.find(stem),), split, {"domain": f"SAMRS {self.part.upper()}"})
            for value, count in mask_values(root / mask).items():
                if value == BACKGROUND or count < self.min_pixels:
                    continue
                if value >= len(chosen.classes):
                    fail(mask, f"holds value {value}; the classes of {self.part} go to {len(chosen.classes) - 1}")
                words = object_words(chosen.classes[value])
                yield picture.ask(
                    "segmentation",
                    f"Segment every {words}.",
                    ["mask"],
                    chosen.classes[value],
                    mask=mask,
                    mask_value=value,
                    phrase=words,
                )
