"""Which picture each answer is about: clusters of the intervals, and the hash of the list of pictures."""

from __future__ import annotations

import hashlib
from array import array


class Pictures:
    """The pictures of a list of answers.

    Attributes:
        names: Number of each picture that is named.
        clusters: Picture of each answer; an answer without a picture is a cluster of its own.
        unnamed: Answers without a picture.
    """

    def __init__(self) -> None:
        self.names: dict[str, int] = {}
        self.clusters = array("q")
        self.unnamed = 0

    def add(self, name: str) -> None:
        """Take the picture of the next answer; empty when the file names none."""
        if name:
            self.clusters.append(self.names.setdefault(name, len(self.names)))
        else:
            self.unnamed += 1
            self.clusters.append(-self.unnamed)

    def list_hash(self) -> str:
        """Return the SHA-256 of the sorted names, a line each: two scores compare only where it is the same."""
        digest = hashlib.sha256()
        for name in sorted(self.names):
            digest.update(f"{name}\n".encode())
        return digest.hexdigest() if self.names else ""
