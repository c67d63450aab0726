"""Scene classification sets with one folder per class: AID, UC Merced, WHU-RS19, NWPU-RESISC45, EuroSAT, RSSCN7."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from geoprose.core.errors import ConfigError
from geoprose.core.registry import unknown_name_message
from geoprose.data.readers.base import check_split, fail_missing
from geoprose.data.readers.files import inside, join, read_list
from geoprose.data.readers.picture import Picture, json_list, spellings
from geoprose.data.readers.pictures import list_pictures
from geoprose.data.scene_captions import SCENE_QUESTION, words_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from geoprose.core.types import Sample

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SceneSet:
    """What is published of one set.

    Attributes:
        title: Name of the set.
        source: Paper.
        download: Where it is.
        folders: Folders that may hold the class folders, the published one first.
        num_classes: Classes.
        num_pictures: Pictures.
        words: Words of the folder names that do not show them by capitals or underscores.
        gsd_m: Ground sampling distance where it is one for the whole set, metres.
    """

    title: str
    source: str
    download: str
    folders: tuple[str, ...]
    num_classes: int
    num_pictures: int
    words: Mapping[str, str] = field(default_factory=dict)
    gsd_m: float | None = None


SCENE_SETS: Mapping[str, SceneSet] = {
    "aid": SceneSet(
        "AID",
        "Xia et al., TGRS 2017",
        "https://captain-whu.github.io/AID",
        ("AID", "."),
        num_classes=30,
        num_pictures=10_000,
    ),
    "ucmerced": SceneSet(
        "UC Merced Land Use",
        "Yang and Newsam, ACM GIS 2010",
        "http://weegee.vision.ucmerced.edu/datasets/landuse.html",
        ("UCMerced_LandUse/Images", "Images", "."),
        num_classes=21,
        num_pictures=2_100,
        words={
            "baseballdiamond": "baseball diamond",
            "denseresidential": "dense residential",
            "golfcourse": "golf course",
            "mediumresidential": "medium residential",
            "mobilehomepark": "mobile home park",
            "parkinglot": "parking lot",
            "sparseresidential": "sparse residential",
            "storagetanks": "storage tanks",
            "tenniscourt": "tennis court",
        },
        gsd_m=0.3048,
    ),
    "whu-rs19": SceneSet(
        "WHU-RS19",
        "Dai and Yang, GRSL 2011",
        "https://captain-whu.github.io/BED4RS",
        ("WHU-RS19", "."),
        num_classes=19,
        num_pictures=1_005,
    ),
    "resisc45": SceneSet(
        "NWPU-RESISC45",
        "Cheng, Han and Lu, Proceedings of the IEEE 2017",
        "https://gcheng-nwpu.github.io",
        ("NWPU-RESISC45", "."),
        num_classes=45,
        num_pictures=31_500,
    ),
    "eurosat": SceneSet(
        "EuroSAT RGB",
        "Helber et al., JSTARS 2019",
        "https://github.com/phelber/EuroSAT",
        ("EuroSAT_RGB", "2750", "."),
        num_classes=10,
        num_pictures=27_000,
        gsd_m=10.0,
    ),
    "rsscn7": SceneSet(
        "RSSCN7",
        "Zou et al., GRSL 2015",
        "https://github.com/palewithout/RSSCN7",
        ("RSSCN7", "."),
        num_classes=7,
        num_pictures=2_800,
        words={
            "aGrass": "grass",
            "bField": "field",
            "cIndustry": "industry",
            "dRiverLake": "river lake",
            "eForest": "forest",
            "fResident": "resident",
            "gParking": "parking",
        },
    ),
}
"""The sets by name."""


class SceneFoldersReader:
    """Reads one folder of pictures per class.

    None of these sets has an official split. Without further options every picture is in ``test``, as zero-shot work
    uses them; ``train_percent`` draws a split by a hash of the file names, ``lists`` takes somebody's lists.

    Args:
        data_set: Which set; a name of SCENE_SETS.
        train_percent: Share of each class that is ``train``, 0 to 99; the rest is ``test``.
        lists: Text file of each split, below the data folder, that names its pictures: ``Airport/airport_1.jpg`` or
            the file name alone, the folder found by it.
    """

    def __init__(
        self, *, data_set: str = "aid", train_percent: int = 0, lists: Mapping[str, str] | None = None
    ) -> None:
        if data_set not in SCENE_SETS:
            raise ConfigError(unknown_name_message("scene set", data_set, SCENE_SETS))
        if not 0 <= train_percent < 100:
            raise ConfigError(f"train_percent is {train_percent}; give 0 to 99.")
        self.data_set = SCENE_SETS[data_set]
        self.train_percent, self.lists = train_percent, dict(lists or {})
        self.splits = tuple(self.lists) or (("train", "test") if train_percent else ("test",))
        self.layout = (
            f"{self.data_set.title} from {self.data_set.download}: {self.data_set.folders[0]}/<class>/<picture>, "
            f"{self.data_set.num_classes} classes, {self.data_set.num_pictures:,} pictures."
        )

    def read(self, root: Path, split: str) -> Iterator[Sample]:
        """Yield one question per picture, by class and file name."""
        check_split(split, self.splits, self.layout)
        by_class = self._by_class(root)
        found = sum(len(paths) for paths in by_class.values())
        if (len(by_class), found) != (self.data_set.num_classes, self.data_set.num_pictures):
            logger.warning(
                "%s has %d classes and %d pictures; %s holds %d and %d, so its scores are those of a part",
                self.data_set.title, self.data_set.num_classes, self.data_set.num_pictures, root, len(by_class), found,
            )  # fmt: skip
        options = json_list([self._words(label) for label in by_class])
        wanted = self._listed(root, split) if self.lists else None
        for label, paths in by_class.items():
            for path in paths:
                name = path.rsplit("/", 1)[-1]
                is_wanted = self._split(path) == split if wanted is None else bool({f"{label}/{name}", name} & wanted)
                if is_wanted:
                    meta = {"domain": self.data_set.title, "gsd_m": self.data_set.gsd_m, "options": options}
                    picture = Picture(f"{label}/{name}", (path,), split, meta)
                    yield picture.ask("scene", SCENE_QUESTION, spellings(self._words(label), label))

    def _by_class(self, root: Path) -> dict[str, list[str]]:
        for folder in self.data_set.folders:
            place = root / folder
            labels = sorted(path.name for path in place.iterdir() if path.is_dir()) if place.is_dir() else []
            by_class = {label: list_pictures(root, join(folder, label), self.layout) for label in labels}
            kept = {label: paths for label, paths in by_class.items() if paths}
            if len(kept) > 1:
                return kept
        fail_missing(root, "folders of classes with pictures", self.layout)

    def _words(self, label: str) -> str:
        return self.data_set.words.get(label, words_of(label))

    def _split(self, path: str) -> str:
        # Why not a seeded shuffle: a hash keeps every picture's split when others are missing.
        label, name = path.split("/")[-2:]
        draw = int(hashlib.sha256(f"{label}/{name}".encode()).hexdigest()[:8], 16) % 100
        return "train" if draw < self.train_percent else "test"

    def _listed(self, root: Path, split: str) -> set[str]:
        return {inside(line, self.lists[split]) for line in read_list(root, self.lists[split], self.layout)}
