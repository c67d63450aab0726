"""Marks of further modalities in a prompt: ``<audio>``, ``<depth>`` and so on, each standing for one input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoprose.core.errors import ProcessingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class ReadsModalities:
    """Mixin of processors of systems with branches.

    Attributes:
        branches: ``{modality: {"token": mark, "num_tokens": V}}``; empty where the system reads pictures only.
    """

    branches: dict[str, dict[str, Any]]
    tokenizer: Any

    @property
    def marks(self) -> tuple[str, ...]:
        """The marks of the branches."""
        return tuple(branch["token"] for branch in self.branches.values())

    def tokens_per_mark(self) -> dict[int, int]:
        """Return how many placeholders each mark becomes, by token id."""
        branches = self.branches.values()
        return {self.tokenizer.convert_tokens_to_ids(b["token"]): int(b["num_tokens"]) for b in branches}

    def check_items(self, token_ids: Sequence[int], items: Mapping[str, int] | None) -> None:
        """Check that a text marks as many inputs of each modality as were given.

        Args:
            token_ids: The text, its marks not yet expanded.
            items: Inputs given by modality; none by default.

        Raises:
            ProcessingError: If they differ, or the system has no branch for a modality.
        """
        given = dict(items or {})
        for modality, branch in self.branches.items():
            mark = branch["token"]
            num_marks, num_given = token_ids.count(self.tokenizer.convert_tokens_to_ids(mark)), given.pop(modality, 0)
            if num_marks != num_given:
                raise ProcessingError(
                    f"The text marks {num_marks} inputs of {modality} with {mark} but {num_given} were given; write "
                    "one mark per input, and say how many there are."
                )
        if given:
            known = ", ".join(["pictures", *self.branches])
            raise ProcessingError(f"This system has no branch for {', '.join(sorted(given))}; it reads {known}.")
