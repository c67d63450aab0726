"""Logs of a verb."""

from __future__ import annotations

import io
import logging

import pytest

from geoprose.cli.logs import logs_on_stderr


def test_the_handler_goes_with_the_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    logger = logging.getLogger("geoprose")
    before = (list(logger.handlers), logger.level)
    for _ in range(2):
        with io.StringIO() as stream, monkeypatch.context() as patched:
            patched.setattr("sys.stderr", stream)
            with logs_on_stderr():
                logging.getLogger("geoprose.training").info("step %d", 3)
            assert stream.getvalue() == "step 3\n"
    assert (logger.handlers, logger.level) == before


def test_a_verb_that_fails_leaves_no_handler() -> None:
    logger = logging.getLogger("geoprose")
    before = list(logger.handlers)
    with pytest.raises(ValueError, match="no"), logs_on_stderr():
        raise ValueError("no")
    assert logger.handlers == before
