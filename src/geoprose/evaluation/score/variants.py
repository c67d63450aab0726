"""The ways in which one question type is scored, the default first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from geoprose.core.errors import PresetError
from geoprose.core.registry import unknown_name_message
from geoprose.evaluation.metrics.registry import METRICS
from geoprose.evaluation.protocols import build_metric, load_protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.evaluation.metrics.base import Item, Metric
    from geoprose.evaluation.tasks import QuestionType, TaskSpec


@dataclass(frozen=True)
class Variant:
    """One way to score a question type.

    Attributes:
        name: Name of the variant, or of the metric where the task names no protocol.
        metric: What judges.
        differs: What it does differently from the default, in one sentence.
        source: Paper or code that scores like this.
        fault: Why its numbers must not be trusted; empty for a sound variant.
        needs: Keys of a sample's meta, or ``scores`` or ``size_px`` of the item, without which it cannot be computed.
    """

    name: str
    metric: Metric
    differs: str = ""
    source: str = ""
    fault: str = ""
    needs: tuple[str, ...] = ()

    def lacks(self, item: Item) -> str:
        """Return the first thing that the variant needs and the item lacks; empty when it has all."""
        return next((need for need in self.needs if not _has(item, need)), "")


def variants_of(question_type: QuestionType, chosen: Sequence[str] | None = None) -> tuple[Variant, ...]:
    """Return the variants of a question type, the default first.

    Args:
        question_type: What names the protocol or the metric.
        chosen: Names of the variants wanted beside the default; every variant when None.

    Raises:
        PresetError: If the protocol is unknown or broken.
    """
    if not question_type.protocol:
        return (Variant(question_type.metric, METRICS.get(question_type.metric)()),)
    protocol = load_protocol(question_type.protocol)
    names = [protocol.default, *(name for name in protocol.variants if name != protocol.default)]
    return tuple(
        Variant(name, build_metric(spec), spec.differs, spec.source, spec.fault, spec.needs)
        for name in names
        if chosen is None or name == protocol.default or name in chosen
        for spec in [protocol.variants[name]]
    )


def check_names(task: TaskSpec, chosen: Sequence[str]) -> None:
    """Refuse names of variants that no protocol of the task has.

    Raises:
        PresetError: If a name is unknown; close names are listed.
    """
    specs = [*task.types.values(), *([task.other] if task.other else [])]
    known = {name for spec in specs if spec.protocol for name in load_protocol(spec.protocol).variants}
    for name in chosen:
        if name not in known:
            raise PresetError(unknown_name_message(f"variant of task {task.name}", name, known))


def _has(item: Item, need: str) -> bool:
    if need == "scores":
        return bool(item.scores)
    if need == "size_px":
        return item.size_px is not None
    return need in item.meta
