"""The generated reference names every command, option and key; links inside the documents lead somewhere."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import typer

from geoprose.core.errors import GeoproseError

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
LINK = re.compile(r"\]\((?!https?://|mailto:)([^)#\s]+)(?:#[^)]*)?\)")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


@pytest.fixture(scope="module")
def generator() -> dict[str, Any]:
    return runpy.run_path(str(DOCS / "generate_reference.py"))


def test_the_command_page_names_every_option(generator: dict[str, Any]) -> None:
    from geoprose.cli.main import app

    page = generator["render_cli"]()
    found = generator["commands"](typer.main.get_command(app))
    assert len(found) >= 10
    for path, command in found:
        section = page.replace("\\|", "|").split(f"## {' '.join(path)}\n", 1)[1].split("\n## ", 1)[0]
        for parameter in command.params:
            shown = parameter.opts if parameter.param_type_name == "option" else [parameter.name.upper()]
            assert any(name in section for name in [*shown, parameter.metavar or shown[0]]), (path, parameter.name)


@pytest.mark.parametrize("page", ["system-spec.md", "recipe-spec.md", "task-spec.md", "asset-spec.md"])
def test_the_spec_pages_name_every_key(generator: dict[str, Any], page: str) -> None:
    text = generator["render_specs"]()[page]
    links = set(re.findall(r"\]\(#(\w+)\)", text))
    headings = {heading.lower() for heading in re.findall(r"^## (\w+)", text, flags=re.MULTILINE)}
    assert links <= headings
    assert links


def test_a_new_key_appears_in_the_page(generator: dict[str, Any]) -> None:
    from geoprose.training.specs.recipe import RecipeSpec

    text = generator["render_specs"]()["recipe-spec.md"]
    schema = RecipeSpec.model_json_schema()
    keys = {key for part in [schema, *schema["$defs"].values()] for key in part.get("properties", {})}
    assert {key for key in keys if f"| `{key}` |" not in text} == set()


def test_the_exit_codes_are_those_of_the_errors() -> None:
    page = (DOCS / "reference" / "exit-codes.md").read_text()
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", page, flags=re.MULTILINE)}

    def codes(error: type[GeoproseError]) -> set[int]:
        return {error.exit_code}.union(*(codes(child) for child in error.__subclasses__()))

    assert documented == codes(GeoproseError) | {0, 130, 143}


@pytest.fixture(scope="module")
def generated(generator: dict[str, Any]) -> set[Path]:
    return {(DOCS / generator["FOLDER"] / name).resolve() for name in generator["pages"]()}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path, generated: set[Path]) -> None:
    targets = [(page.parent / target).resolve() for target in LINK.findall(page.read_text())]
    assert [str(target) for target in targets if not target.exists() and target not in generated] == []


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text()
    assert [path.name for path in DOCS.rglob("*.md") if path.relative_to(DOCS).as_posix() not in navigation] == []
