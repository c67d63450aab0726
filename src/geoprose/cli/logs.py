"""What the package logs, on stderr while a verb runs."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def logs_on_stderr() -> Iterator[None]:
    """Write what geoprose logs from INFO on to stderr, until the verb ends.

    The handler goes with the verb: one that stayed would write to the stderr of then, which a caller in the same
    process may have closed.
    """
    logger = logging.getLogger("geoprose")
    level = logger.level
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
