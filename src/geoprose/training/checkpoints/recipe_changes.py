"""What differs between two recipes, key by key."""

from __future__ import annotations

from typing import Any


def differences(before: Any, after: Any, path: str = "") -> list[str]:
    """Return a line for every value that was changed, added or taken away.

    Args:
        before: JSON values of the recipe that a run was started with.
        after: Those of the recipe it is to go on with.
        path: Key path of both, for the lines.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [*before, *(key for key in after if key not in before)]
        return [line for key in keys for line in differences(before.get(key), after.get(key), f"{path}.{key}")]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [line for index, (old, new) in pairs for line in differences(old, new, f"{path}.{index}")]
    return [] if before == after else [f"{path.removeprefix('.')}: {before!r} became {after!r}"]
