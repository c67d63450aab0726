"""Two names for every weight: ours and the published one, with what happens to the tensor on the way.

A template holds ``{name}`` for a number and ``{rest}`` for everything else (dots included); both sides of a rule hold
the same ones, but for the ``{part}`` that numbers what a ``Split`` takes apart.
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
    """Several of ours, concatenated along the first axis, are one of theirs (such as q, k, v).

    Attributes:
        ours: Templates of our names, in order.
        theirs: Template of their name.
        export: What happens to the concatenation.
        restore: Its inverse.
        sizes: Rows of each of ours; equal parts when empty.
    """

    ours: tuple[str, ...]
    theirs: str
    export: TensorMap = _same
    restore: TensorMap = _same
    sizes: tuple[int, ...] = ()

    def parts(self, tensor: Tensor) -> Sequence[Tensor]:
        """Return ours, in order."""
        whole = self.restore(tensor)
        parts: Sequence[Tensor] = (
            whole.split_with_sizes(list(self.sizes)) if self.sizes else whole.chunk(len(self.ours))
        )
        return parts


Pieces = Sequence[Sequence[Tensor]]


@dataclass(frozen=True)
class Split:
    """One of ours is several of theirs: rows in two tables, or one matrix per expert.

    Attributes:
        ours: Template of our name.
        theirs: Templates of their names; ``{part}`` numbers the tensors of one template from 0.
        export: Our tensor to theirs: for each template its tensors in order, one where it has no ``{part}``.
        restore: Its inverse.
    """

    ours: str
    theirs: tuple[str, ...]
    export: Callable[[Tensor], Pieces]
    restore: Callable[[Pieces], Tensor]

    def named(self, tensor: Tensor, fields: Mapping[str, str]) -> dict[str, Tensor]:
        """Return theirs by name."""
        return {
            Template(text).fill({**fields, "part": str(part)}): piece
            for text, pieces in zip(self.theirs, self.export(tensor), strict=True)
            for part, piece in enumerate(pieces)
        }

    def joined(self, fields: Mapping[str, str], found: Mapping[tuple[int, int], Tensor]) -> Tensor:
        """Return ours from theirs, which are numbered by template and part.

        Raises:
            ModelError: If one of them is missing, or their shapes do not fit each other.
        """
        count = 1 + max(part for _, part in found)
        names = {
            (index, part): Template(text).fill({**fields, "part": str(part)})
            for index, text in enumerate(self.theirs)
            for part in range(count)
        }
        missing = [name for place, name in names.items() if place not in found]
        if missing:
            raise ModelError(f"{len(missing)} missing: {', '.join(missing[:NAMED])}.")
        try:
            return self.restore([[found[index, part] for part in range(count)] for index in range(len(self.theirs))])
        except RuntimeError as error:
            shapes = ", ".join(sorted({str(tuple(tensor.shape)) for tensor in found.values()}))
            raise ModelError(f"1 mismatched: {names[0, 0]} and its likes are {shapes}: {error}") from error


Rule = Rename | Fuse | Split
NAMED = 5
"""How many names a message lists; it counts all."""


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
            elif isinstance(rule, Split):
                mapped |= rule.named(tensor, fields)
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
            ModelError: If a weight falls under no rule, a part of one of ours is missing, or a shape does not divide.
        """
        mapped: dict[str, Tensor] = {}
        pieces: dict[str, tuple[Split, dict[str, str], dict[tuple[int, int], Tensor]]] = {}
        left_out: list[str] = []
        unknown: list[str] = []
        for name, tensor in state.items():
            if any(template.match(name) is not None for template in self._theirs_only):
                left_out.append(name)
                continue
            found = self._their_rule(name)
            if found is None:
                unknown.append(name)
                continue
            rule, fields, index = found
            if isinstance(rule, Split):
                part = int(fields.get("part", 0))
                pieces.setdefault(Template(rule.ours).fill(fields), (rule, fields, {}))[2][index, part] = tensor
            else:
                mapped |= _restored(rule, fields, name, tensor)
        if unknown:
            raise ModelError(
                f"{len(unknown)} unexpected: {', '.join(sorted(unknown)[:NAMED])}. The key map has no name of ours for "
                "these published weights."
            )
        mapped |= {ours: split.joined(fields, parts) for ours, (split, fields, parts) in pieces.items()}
        return mapped, left_out

    def _our_rule(self, name: str) -> tuple[Rule, dict[str, str], int]:
        for rule in self._rules:
            for index, text in enumerate(rule.ours if isinstance(rule, Fuse) else (rule.ours,)):
                fields = Template(text).match(name)
                if fields is not None:
                    return rule, fields, index
        raise ModelError(f"The key map has no published name for our weight {name!r}.")

    def _their_rule(self, name: str) -> tuple[Rule, dict[str, str], int] | None:
        for rule in self._rules:
            for index, text in enumerate(rule.theirs if isinstance(rule, Split) else (rule.theirs,)):
                fields = Template(text).match(name)
                if fields is not None:
                    return rule, fields, index
        return None


def _restored(rule: Rename | Fuse, fields: Mapping[str, str], name: str, tensor: Tensor) -> dict[str, Tensor]:
    try:
        if isinstance(rule, Rename):
            return {Template(rule.ours).fill(fields): rule.restore(tensor)}
        names = (Template(text).fill(fields) for text in rule.ours)
        return dict(zip(names, rule.parts(tensor), strict=True))
    except (RuntimeError, ValueError, IndexError) as error:
        raise ModelError(
            f"1 mismatched: {name} is {tuple(tensor.shape)}, which does not divide as its config says: {error}"
        ) from error
