import json

import pytest
from typer.testing import CliRunner

from geoprose.cli.main import app
from geoprose.core.errors import ConfigError, PresetError
from geoprose.systems.presets import list_presets

runner = CliRunner()
SAMPLE = ["demo", "llava-1.5", "geochat-13b"]


def _json(*arguments):
    result = runner.invoke(app, ["systems", *arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_list_names_every_preset():
    listed = _json("list")
    assert [system["name"] for system in listed] == list_presets()
    for system in listed:
        assert system["family"]
        assert system["source"]
        assert system["verified"] in ("parity", "golden", "structural", "none")
        assert system["parameters"] > 0
        assert system["visual_tokens"] is None or system["visual_tokens"] > 0
    table = runner.invoke(app, ["systems", "list"], env={"COLUMNS": "250"})
    assert all(name in table.stdout for name in list_presets())


@pytest.mark.parametrize("name", SAMPLE)
def test_show_says_where_the_parts_come_from(name):
    value = _json("show", name)
    text = runner.invoke(app, ["systems", "show", name]).stdout
    assert value["spec"]["name"] == name
    assert len(value["spec_hash"]) == 64
    facts = (value["source"], value["proof"], value["weights"]["language_model"], str(value["visual_tokens"]))
    assert all(fact in text for fact in facts)


def test_compare_marks_what_differs():
    first, second = _json("compare", "geochat", "geochat-13b", "--width", "504", "--height", "504")
    assert first["visual_tokens"] == second["visual_tokens"] == 1296
    assert second["parameters"] > 1.8 * first["parameters"]
    assert second["flops"] > 1.8 * first["flops"]
    assert second["training_bytes"] > second["inference_bytes"]
    text = runner.invoke(app, ["systems", "compare", "demo", "demo-half"]).stdout
    assert "parameters  *" in text
    assert "connector  *" not in text


def test_verify_holds_and_says_what_it_compared():
    value = _json("verify", "llava-1.5")
    assert value["holds"]
    assert value["architecture"] == "LlavaForConditionalGeneration"
    assert runner.invoke(app, ["systems", "verify", "llava-1.5"]).stdout.endswith("holds\n")


def test_verify_without_a_reference_is_refused():
    result = runner.invoke(app, ["systems", "verify", "demo"])
    assert isinstance(result.exception, ConfigError)
    assert "no transformers class" in str(result.exception)


def test_verify_exits_with_one_when_it_does_not_hold(monkeypatch):
    monkeypatch.setattr("geoprose.systems.verify.TOLERANCE", -1.0)
    result = runner.invoke(app, ["systems", "verify", "llava-1.5"])
    assert result.exit_code == 1
    assert "DOES NOT HOLD" in result.stdout


def test_an_unknown_system_is_a_usage_error_with_close_names():
    result = runner.invoke(app, ["systems", "show", "llava"])
    assert isinstance(result.exception, PresetError)
    assert result.exception.exit_code == 2
    assert "Did you mean 'llava-" in str(result.exception)
