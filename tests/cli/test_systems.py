import json

import pytest
from typer.testing import CliRunner

from geoprose.cli.main import app
from geoprose.core.errors import PresetError
from geoprose.systems.presets import list_presets

runner = CliRunner()


def test_list_names_every_preset():
    result = runner.invoke(app, ["systems", "list", "--json"])
    assert result.exit_code == 0
    listed = json.loads(result.stdout)["systems"]
    assert [system["name"] for system in listed] == list_presets()
    assert all(system["slots"]["connector"] and system["source"] and system["verified"] for system in listed)
    table = runner.invoke(app, ["systems", "list"])
    assert all(name in table.stdout for name in list_presets())


@pytest.mark.parametrize("name", list_presets())
def test_show_says_where_the_parts_come_from(name):
    value = json.loads(runner.invoke(app, ["systems", "show", name, "--json"]).stdout)
    text = runner.invoke(app, ["systems", "show", name]).stdout
    assert value["spec"]["name"] == name
    assert len(value["spec_hash"]) == 64
    for fact in (
        value["source"],
        value["verified"],
        value["weights"]["language_model"],
        str(value["num_visual_tokens"]),
    ):
        assert fact in text


def test_an_unknown_system_is_a_usage_error_with_close_names():
    result = runner.invoke(app, ["systems", "show", "llava"])
    assert isinstance(result.exception, PresetError)
    assert result.exception.exit_code == 2
    assert "Did you mean 'llava-v1' or 'llava-1.5'" in str(result.exception)
