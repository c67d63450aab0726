"""The readers of general benchmarks: reader, miniature, split, options, number of questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.fixtures import general

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Case = tuple[str, "Callable[[Path], Path]", str, dict[str, Any], int]

CASES: dict[str, Case] = {
    "mmbench": ("vlmevalkit", general.mmbench, "dev", {}, 5),
    "mmmu": ("hub", general.mmmu, "validation", {"data_set": "mmmu"}, 2),
    "mme": ("mme", general.mme, "test", {}, 6),
    "mme either": ("benchmark", general.mme, "test", {"data_set": "mme"}, 6),
    "mme hub": ("benchmark", general.mme_hub, "test", {"data_set": "mme"}, 2),
    "pope": ("pope", general.pope, "test", {}, 6),
    "pope hub": ("benchmark", general.pope_hub, "test", {"data_set": "pope"}, 2),
    "ocrbench": ("ocrbench", general.ocrbench, "test", {}, 2),
    "ocrbench hub": ("benchmark", general.ocrbench_hub, "test", {"data_set": "ocrbench"}, 1),
    "mathvista": ("mathvista", general.mathvista, "testmini", {}, 4),
    "mathvista hub": ("benchmark", general.mathvista_hub, "testmini", {"data_set": "mathvista"}, 4),
    "realworldqa": ("hub", general.realworldqa, "test", {"data_set": "realworldqa"}, 3),
    "science-qa": ("science_qa", general.science_qa, "test", {}, 1),
    "science-qa hub": ("benchmark", general.science_qa_hub, "test", {"data_set": "science-qa"}, 1),
    "seed-bench": ("seed_bench", general.seed_bench, "test", {}, 1),
    "seed-bench video": ("seed_bench", general.seed_bench, "test", {"what": "video"}, 1),
    "seed-bench hub": ("benchmark", general.seed_hub, "test", {"data_set": "seed-bench"}, 1),
    "video-mme": ("video_mme", general.video_mme, "test", {}, 2),
    "video-mme lines": ("video_mme", general.video_mme_lines, "test", {"subtitles": True}, 2),
    "conversations": ("conversations", general.conversations, "test", {}, 3),
}
