"""Reference pages that are made from the code when the documentation is built; a hook of mkdocs.

The command line page comes from the typer app, the preset and recipe pages from the pydantic specs. The pages are not
in the repository, so they cannot go stale. To read one without building: ``python docs/generate_reference.py cli.md``.
"""

from __future__ import annotations

import inspect
import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

FOLDER = "reference"
LONGEST_UNION = 4
"""A type with more alternatives is any value of YAML, and is called that."""
EXIT_CODES = "Exit codes: [Exit codes](exit-codes.md). Data goes to stdout, progress and notes to stderr.\n\n"
UNION_TYPES = ("anyOf", "oneOf")


def render_cli() -> str:
    """Return the page of every command with its arguments and options."""
    from geoprose.cli.main import app

    root = typer.main.get_command(app)
    parts = ["# Command line\n\n", _sentence(root.help), "\n\n", EXIT_CODES]
    parts += [_command_section(path, command) for path, command in commands(root)]
    return "".join(parts).rstrip() + "\n"


def commands(command: Any, path: tuple[str, ...] = ("geoprose",)) -> list[tuple[tuple[str, ...], Any]]:
    """Return every command that can be run, with its words, in the order of ``--help``."""
    children = getattr(command, "commands", None)
    if children is None:
        return [(path, command)]
    return [found for name, child in children.items() for found in commands(child, (*path, name))]


def _command_section(path: tuple[str, ...], command: Any) -> str:
    rows = [_parameter_row(parameter) for parameter in command.params if not getattr(parameter, "hidden", False)]
    table = "| argument or option | meaning |\n|---|---|\n" + "".join(rows) if rows else ""
    return f"## {' '.join(path)}\n\n{_prose(command.help)}\n\n{table}\n"


def _parameter_row(parameter: Any) -> str:
    is_argument = parameter.param_type_name == "argument"
    name = parameter.metavar or parameter.name.upper()
    if is_argument:
        shown = f"`{name}`" if parameter.required else f"`[{name}]`"
    else:
        value = "" if parameter.is_flag else f" {_value_name(parameter)}"
        shown = f"`{', '.join(parameter.opts)}{value}`"
    facts = [_sentence(parameter.help)]
    if parameter.required and not is_argument:
        facts.append("Required.")
    elif _has_shown_default(parameter):
        facts.append(f"Default: `{parameter.default}`.")
    return f"| {_cell(shown)} | {_cell(' '.join(fact for fact in facts if fact))} |\n"


def _value_name(parameter: Any) -> str:
    if parameter.metavar:
        return str(parameter.metavar)
    kind = str(getattr(parameter, "bare_type", "")).lower() + type(parameter.default).__name__
    return "NUMBER" if "int" in kind or "float" in kind else "PATH" if "path" in kind else "VALUE"


def _has_shown_default(parameter: Any) -> bool:
    return not getattr(parameter, "is_flag", False) and parameter.default not in (None, "", [], ())


def render_specs() -> dict[str, str]:
    """Return the pages of the specs by file name."""
    from geoprose.assets.specs import AssetSpec
    from geoprose.evaluation.tasks import TaskSpec
    from geoprose.systems.spec import SystemSpec
    from geoprose.training.specs.recipe import RecipeSpec

    return {
        "system-spec.md": _spec_page(
            "System preset",
            "What a YAML file in `presets/systems/` may say. `extends: NAME` lays the file over another preset: "
            "mappings merge, anything else replaces. A misspelt key is refused with the close ones.",
            SystemSpec,
        ),
        "recipe-spec.md": _spec_page(
            "Recipe",
            "What a YAML file for `geoprose train` may say. Beside these keys: `extends: NAME` lays the file over "
            "another recipe, and `stage_changes` maps the name of one of its stages to a difference, or to null to "
            "drop it.",
            RecipeSpec,
        ),
        "task-spec.md": _spec_page("Task", "What a YAML file for `geoprose evaluate --task` may say.", TaskSpec),
        "asset-spec.md": _spec_page(
            "Asset",
            "What one entry below `assets:` in `presets/assets.yaml`, or in a table of your own, may say. "
            "`name` is the key of the entry.",
            AssetSpec,
        ),
    }


def _spec_page(title: str, intro: str, spec_type: Any) -> str:
    schema = spec_type.model_json_schema()
    parts = [f"# {title}\n\n{intro}\n\n", _spec_section(spec_type.__name__, schema)]
    definitions = schema.get("$defs", {})
    parts += [_spec_section(name, definitions[name]) for name in sorted(definitions) if name in definitions]
    return "".join(parts).rstrip() + "\n"


def _spec_section(name: str, schema: dict[str, Any]) -> str:
    text = f"## {name}\n\n{_prose(schema.get('description'))}\n\n"
    properties = schema.get("properties", {})
    if not properties:
        return text
    required = set(schema.get("required", []))
    rows = [_property_row(key, value, key in required) for key, value in properties.items()]
    return text + "| key | type | default | meaning |\n|---|---|---|---|\n" + "".join(rows) + "\n"


def _property_row(key: str, schema: dict[str, Any], is_required: bool) -> str:
    default = "required" if is_required else _default(schema)
    cells = (f"`{key}`", _type(schema), default, _sentence(schema.get("description")))
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |\n"


def _default(schema: dict[str, Any]) -> str:
    if "default" not in schema:
        return "empty"
    value = schema["default"]
    if isinstance(value, (dict, list)):
        return (
            "empty" if not value else "all defaults" if isinstance(value, dict) or "{" in str(value) else f"`{value}`"
        )
    if value == "":
        return "empty"
    return "`null`" if value is None else f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for union in UNION_TYPES:
        if union in schema:
            names = list(dict.fromkeys(_type(option) for option in schema[union]))
            is_value = len(names) > LONGEST_UNION and not any(name.startswith("[") for name in names)
            return "any value" if is_value else " or ".join(names)
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    return _container_type(schema)


def _container_type(schema: dict[str, Any]) -> str:
    kind = schema.get("type", "any")
    if kind == "array":
        items = schema.get("prefixItems", [schema["items"]] if isinstance(schema.get("items"), dict) else [])
        return "list of " + (", ".join(dict.fromkeys(_type(item) for item in items)) or "anything")
    if kind == "object":
        values = schema.get("additionalProperties")
        return "mapping to " + (_type(values) if isinstance(values, dict) else "anything")
    words = {"integer": "whole number", "string": "text", "boolean": "true or false"}
    return words.get(kind, kind) + _range(schema)


def _range(schema: dict[str, Any]) -> str:
    signs = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    limits = [f"{sign} {schema[key]}" for key, sign in signs.items() if key in schema]
    return f", {', '.join(limits)}" if limits else ""


def _prose(text: str | None) -> str:
    return inspect.cleandoc(text or "").replace("\f", "")


def _sentence(text: str | None) -> str:
    return " ".join((text or "").split())


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;") if "`" not in text else text.replace("|", "\\|")


def pages() -> dict[str, str]:
    """Return every generated page by its file name."""
    return {
        "cli.md": render_cli(),
        "systems.md": _page_of("systems"),
        "protocols.md": _page_of("protocols"),
        "recipes.md": _page_of("recipes"),
        **render_specs(),
    }


def _page_of(what: str) -> str:
    # Why by path: mkdocs loads this hook as a file, not as a module of a package.
    page: str = runpy.run_path(str(Path(__file__).parent / f"generate_{what}.py"))[f"render_{what}"]()
    return page


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages to the documentation; mkdocs calls this."""
    from mkdocs.structure.files import File

    for name, text in pages().items():
        files.append(File.generated(config, f"{FOLDER}/{name}", content=text))
    return files


if __name__ == "__main__":
    sys.stdout.write("\n".join(text for name, text in pages().items() if name in sys.argv[1:] or not sys.argv[1:]))
