"""Judge a stream of items of one question type under every variant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.core.errors import ResourceError, TaskError
from geoprose.evaluation.metrics.unavailable import SCORE
from geoprose.evaluation.score.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.evaluation.metrics.base import Item, Judgement
    from geoprose.evaluation.score.variants import Variant

PIECE = 50_000
"""Items that a metric is given at once where it judges each on its own."""


class Judge:
    """Judges items as they come; the whole list is held only for metrics that need it.

    Args:
        variants: The variants, the default first.
        keeps_judgements: Whether the default variant's judgements are kept as objects.
        is_strict: Whether a default variant that has no score is an error; else the report says that there is none.
    """

    def __init__(self, variants: Sequence[Variant], keeps_judgements: bool = False, is_strict: bool = True) -> None:
        self.variants = tuple(variants)
        self.judgements: list[Judgement] = []
        self.ledgers = {variant.name: Ledger() for variant in self.variants}
        self.unavailable: dict[str, str] = {}
        self._keeps, self._is_strict = keeps_judgements, is_strict
        self._pending: list[Item] = []
        self._held: list[Item] = []
        self._holds = any(not variant.metric.is_itemwise for variant in self.variants)

    @property
    def default(self) -> Ledger:
        """The ledger of the default variant."""
        return self.ledgers[self.variants[0].name]

    def add(self, item: Item) -> None:
        """Take the next item."""
        self._pending.append(item)
        if len(self._pending) >= PIECE:
            self._flush()

    def close(self) -> None:
        """Judge what is left; call it once, after the last item."""
        self._flush()
        for variant in self.variants:
            if not variant.metric.is_itemwise:
                self._judge(variant, self._held)
        self._held = []
        for name in self.unavailable:
            self.ledgers.pop(name, None)

    def _flush(self) -> None:
        if not self._pending:
            return
        for variant in self.variants:
            if variant.metric.is_itemwise:
                self._judge(variant, self._pending)
        if self._holds:
            self._held += self._pending
        self._pending = []

    def _judge(self, variant: Variant, items: Sequence[Item]) -> None:
        if variant.name in self.unavailable:
            return
        is_default = variant is self.variants[0]
        lacking = [lack for lack in map(variant.lacks, items) if lack] if variant.needs else []
        if lacking:
            reason = f"{len(lacking)} of {len(items)} samples lack {lacking[0]}"
            if is_default:
                raise TaskError(f"The default variant {variant.name} cannot be computed: {reason}. Add it to the data.")
            self.unavailable[variant.name] = reason
            return
        try:
            judged = variant.metric.judge(items)
        except ResourceError as error:
            if is_default:
                raise
            self.unavailable[variant.name] = str(error)
            return
        if SCORE in judged.unavailable and not is_default:
            self.unavailable[variant.name] = judged.unavailable[SCORE]
            return
        if SCORE in judged.unavailable and self._is_strict:
            raise TaskError(f"The default variant {variant.name} cannot be computed: {judged.unavailable[SCORE]}.")
        self.ledgers[variant.name].add(judged)
        if is_default and self._keeps:
            self.judgements += judged.judgements
