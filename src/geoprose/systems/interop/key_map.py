"""Two names for every weight: ours and the published one, with what happens to the tensor on the way.

A template holds ``{name}`` for a number and ``{rest}`` for everything else (dots included); both sides of a rule hold
the same ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from geoprose.core.errors import ModelError

_FIELD = re.compile(r"\{(\w+)\}")


def _pattern(template: str) -> re.Pattern[str]:
    parts = _FIELD.split(template)
    body = "".join(
        re.escape(part) if index % 2 == 0 else f"(?P<{part}>{'.*' if part == 'rest' else chr(92) + 'd+'})"
        for index, part in enumerate(parts)
    )
    return re.compile(body)


@dataclass(frozen=True)
class Template:
    """A name with fields."""

    text: str

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        return _pattern(self.text)

    def match(self, name: str) -> dict[str, str] | None:
        """Return the fields of ``name``, or None if it is another name."""
        found = self._regex.fullmatch(name)
        return None if found is None else found.groupdict()

    def fill(self, fields: Mapping[str, str]) -> str:
        """Return the name with these fields."""
        return self.text.format_map(dict(fields))


TensorMap = Callable[[Tensor], Tensor]


def _same(tensor: Tensor) -> Tensor:
    return tensor


@dataclass(frozen=True)
class Rename:
    """One of ours is one of theirs.

    Attributes:
        ours: Template of our name.
        theirs: Template of their name.
        export: What happens to our tensor.
        restore: Its inverse.
    """

    ours: str
    theirs: str
    export: TensorMap = _same
    restore: TensorMap = _same


@dataclass(frozen=True)
class Fuse:
    """Several of ours, concatenated along the first axis in equal parts, are one of theirs (such as q, k, v).

    Attributes:
        ours: Templates of our names, in order.
        theirs: Template of their name.
        export: What happens to the concatenation.
        restore: Its inverse.
    """

    ours: tuple[str, ...]
    theirs: str
    export: TensorMap = _same
    restore: TensorMap = _same


Rule = Rename | Fuse


class KeyMap:
    """Rules, tried in order; every weight must fall under one.

    Args:
        rules: The rules.
        theirs_only: Templates of weights that our model does without; counted on import, absent on export.
        ours_only: Templates of ours that the published layout does without (tied or derived).
    """

    def __init__(self, rules: Sequence[Rule], theirs_only: Sequence[str] = (), ours_only: Sequence[str] = ()) -> None:
        self._rules = tuple(rules)
        self._theirs_only = tuple(Template(text) for text in theirs_only)
        self._ours_only = tuple(Template(text) for text in ours_only)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules, for a key map that adds to them."""
        return self._rules

    def to_theirs(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return our weights in the published layout.

        Raises:
            ModelError: If a weight falls under no rule, or a part of a fused weight is missing.
        """
        mapped: dict[str, Tensor] = {}
        for name, tensor in state.items():
            if any(template.match(name) is not None for template in self._ours_only):
                continue
            rule, fields, index = self._our_rule(name)
            if isinstance(rule, Rename):
                mapped[Template(rule.theirs).fill(fields)] = rule.export(tensor)
            elif index == 0:
                names = [Template(text).fill(fields) for text in rule.ours]
                missing = [other for other in names if other not in state]
                if missing:
                    raise ModelError(f"{name} is published fused with {missing[0]}, which the model does not have.")
                mapped[Template(rule.theirs).fill(fields)] = rule.export(torch.cat([state[other] for other in names]))
        return mapped

    def to_ours(self, state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
        """Return published weights under our names, and the names that our model does without.

        Raises:
            ModelError: If a weight falls under no rule.
        """
        mapped: dict[str, Tensor] = {}
        left_out: list[str] = []
        for name, tensor in state.items():
            if any(template.match(name) is not None for template in self._theirs_only):
                left_out.append(name)
                continue
            rule, fields = self._their_rule(name)
            if isinstance(rule, Rename):
                mapped[Template(rule.ours).fill(fields)] = rule.restore(tensor)
                continue
            parts = rule.restore(tensor).chunk(len(rule.ours))
            mapped.update((Template(text).fill(fields), part) for text, part in zip(rule.ours, parts, strict=True))
        return mapped, left_out

    def _our_rule(self, name: str) -> tuple[Rule, dict[str, str], int]:
        for rule in self._rules:
            for index, text in enumerate(rule.ours if isinstance(rule, Fuse) else (rule.ours,)):
                fields = Template(text).match(name)
                if fields is not None:
                    return rule, fields, index
        raise ModelError(f"The key map has no published name for our weight {name!r}.")

    def _their_rule(self, name: str) -> tuple[Rule, dict[str, str]]:
        for rule in self._rules:
            fields = Template(rule.theirs).match(name)
            if fields is not None:
                return rule, fields
        raise ModelError(f"The key map has no name of ours for the published weight {name!r}.")
