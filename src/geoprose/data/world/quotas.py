"""How many questions of each type a split gets, and how even their answers are."""

from __future__ import annotations

from pydantic import PositiveInt

from geoprose.core.spec import Spec


class Quota(Spec):
    """How many questions of one type to take."""

    total: PositiveInt
    """No new round is started once this many are taken."""
    per_tile: PositiveInt = 3
    """Upper limit per tile, so that many places are asked about."""
    is_even: bool = True
    """Cut every answer of a wording to the supply of its rarest answer, so that no answer is a better guess."""
    at_least: PositiveInt = 2
    """With ``is_even``: an answer may be taken this often even if a rarer answer of its wording may not."""
    per_answer: PositiveInt | None = None
    """Upper limit per wording and answer."""


EVAL_QUOTAS: dict[str, Quota] = {
    "presence": Quota(total=130),
    "dominant": Quota(total=130, is_even=False, per_answer=16),
    "comparison": Quota(total=130),
    "location": Quota(total=130),
    "amount": Quota(total=130),
    "list": Quota(total=110, is_even=False),
    "two_tile": Quota(total=130),
    "box": Quota(total=110, is_even=False),
    "caption": Quota(total=110, is_even=False),
}
"""For validation and test. A free answer (list, box, caption) has no rarest one: each distinct one gets its turn."""
