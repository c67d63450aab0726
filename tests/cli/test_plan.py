"""``geoprose plan`` through the command line."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from geoprose.cli.main import app
from geoprose.core.errors import ConfigError


def test_plan_says_what_it_rests_on_and_what_each_stage_needs() -> None:
    arguments = ["plan", "tiny", "--gpus", "2xA100-40G", "--sample", "text_tokens=32,answer_tokens=8"]
    shown = CliRunner().invoke(app, arguments, catch_exceptions=False).stdout
    assert "2xA100-40G" in shown
    assert "1 picture(s) and 32 tokens of text, 8 of them learnt" in shown
    assert all(f"stage {name}:" in shown for name in ("align", "instruct"))
    printed = CliRunner().invoke(app, [*arguments, "--json", "--mfu", "0.2"], catch_exceptions=False).stdout
    plan = json.loads(printed)
    assert [stage["fits"] for stage in plan["stages"]] == [True, True]
    assert plan["hours"] == pytest.approx(sum(s["hours"] + s["cache_hours"] for s in plan["stages"]))


@pytest.mark.parametrize("sample", ["words=3", "text_tokens=none", "pictures=0"])
def test_wrong_samples_are_refused(sample: str) -> None:
    result = CliRunner().invoke(app, ["plan", "tiny", "--gpus", "H100", "--sample", sample])
    assert isinstance(result.exception, ConfigError)
