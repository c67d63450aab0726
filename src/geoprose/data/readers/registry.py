"""The table of readers; a task's YAML names one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoprose.core.errors import ConfigError
from geoprose.core.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geoprose.core.types import JsonValue
    from geoprose.data.readers.base import Reader

READERS: Registry[type[Reader]] = Registry(
    slot="reader",
    table={
        "neutral": "geoprose.data.readers.neutral:NeutralReader",
        "annotations": "geoprose.data.readers.annotations:AnnotationsReader",
        "scene_folders": "geoprose.data.readers.scene_folders:SceneFoldersReader",
        "rsvqa": "geoprose.data.readers.rsvqa:RsvqaReader",
        "karpathy": "geoprose.data.readers.karpathy:KarpathyReader",
        "rsgpt": "geoprose.data.readers.rsgpt:RsgptReader",
        "chatearthnet": "geoprose.data.readers.chatearthnet:ChatEarthNetReader",
        "rs5m": "geoprose.data.readers.webdataset:Rs5mReader",
        "samrs": "geoprose.data.readers.samrs:SamrsReader",
        "geochat_bench": "geoprose.data.readers.geochat_bench:GeochatBenchReader",
        "dior": "geoprose.data.readers.voc:DiorReader",
        "dior_rsvg": "geoprose.data.readers.voc:DiorRsvgReader",
        "vrsbench": "geoprose.data.readers.vrsbench:VrsbenchReader",
        "dota": "geoprose.data.readers.dota:DotaReader",
        "coco_detection": "geoprose.data.readers.coco_detection:CocoDetectionReader",
        "levir_cc": "geoprose.data.readers.levir:LevirCcReader",
        "change_pairs": "geoprose.data.readers.levir:ChangePairsReader",
        "lrs_vqa": "geoprose.data.readers.large_images:LrsVqaReader",
        "mme_realworld_rs": "geoprose.data.readers.large_images:MmeRealWorldRsReader",
        "conversations": "geoprose.data.readers.conversations:ConversationsReader",
        "benchmark": "geoprose.data.readers.general.either:BenchmarkReader",
        "hub": "geoprose.data.readers.general.hub:HubReader",
        "mathvista": "geoprose.data.readers.general.json_sets:MathVistaReader",
        "mme": "geoprose.data.readers.general.mme:MmeReader",
        "ocrbench": "geoprose.data.readers.general.json_sets:OcrBenchReader",
        "pope": "geoprose.data.readers.general.json_sets:PopeReader",
        "science_qa": "geoprose.data.readers.general.json_sets:ScienceQaReader",
        "seed_bench": "geoprose.data.readers.general.seed_bench:SeedBenchReader",
        "video_mme": "geoprose.data.readers.general.video_mme:VideoMmeReader",
        "vlmevalkit": "geoprose.data.readers.general.tsv:TsvReader",
    },
)


def build_reader(name: str, options: Mapping[str, JsonValue]) -> Reader:
    """Build a reader by name.

    Raises:
        ConfigError: If the name is unknown, or the reader does not take the options.
    """
    chosen: Any = READERS.get(name)
    try:
        reader: Reader = chosen(**options)
    except TypeError as error:
        raise ConfigError(f"Reader {name} does not take {dict(options)}: {error}.") from error
    return reader
