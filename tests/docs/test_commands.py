"""Every ``geoprose ...`` line of the README and the docs is parsed by the real parser; nothing is executed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from geoprose.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]*\bgeoprose [^`\n]*)`")
PROGRAM = re.compile(r"^(?:\S+/)?geoprose$")


def _words(line: str) -> list[str]:
    """Words after ``geoprose``; empty when the line runs something else."""
    words = shlex.split(line, comments=True)
    return words[1:] if words and PROGRAM.match(words[0]) else []


def _block_commands(text: str) -> list[list[str]]:
    blocks = [body for language, body in FENCE.findall(text) if language in ("", "bash", "sh", "console")]
    lines = [line.strip() for body in blocks for line in body.replace("\\\n", " ").splitlines()]
    return [words for line in lines if (words := _words(line))]


def _inline_commands(text: str) -> list[list[str]]:
    return [words for line in INLINE.findall(FENCE.sub("", text)) if (words := _words(line))]


def _cases(find: Any) -> list[Any]:
    return [
        pytest.param(words, id=f"{page.relative_to(ROOT)}: {' '.join(words)}")
        for page in PAGES
        for words in find(page.read_text())
    ]


def _verb(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the first words name, and the words that are left."""
    command: Any = typer.main.get_command(app)
    while words and getattr(command, "commands", None) and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    return command, words


def _parse(words: list[str]) -> dict[str, Any]:
    """Parse a whole command; the parser's own error fails the test."""
    command, rest = _verb(words)
    assert not getattr(command, "commands", None), f"{words} names no command"
    parameters: dict[str, Any] = command.make_context("geoprose", list(rest)).params
    return parameters


@pytest.mark.parametrize("words", _cases(_block_commands))
def test_commands_in_blocks_parse(words: list[str]) -> None:
    assert _parse(words)


@pytest.mark.parametrize("words", _cases(_inline_commands))
def test_verbs_and_options_in_sentences_exist(words: list[str]) -> None:
    command, rest = _verb(words)
    children = getattr(command, "commands", {})
    assert not children or not rest or rest[0].startswith("-"), f"{rest[:1]} is not one of {list(children)}"
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    assert {word.partition("=")[0] for word in rest if word.startswith("--")} <= known


def test_a_command_that_does_not_exist_is_noticed() -> None:
    assert _parse(["ask", "port.tif", "Any water?", "--out", "a.geojson"])["question"] == "Any water?"
    for wrong in (["ask", "port.tif"], ["ask", "port.tif", "q", "--regoin", "1,2,3,4"], ["asks", "port.tif"]):
        with pytest.raises((Exception, SystemExit)):
            _parse(wrong)


def test_the_documents_show_every_verb() -> None:
    shown = {words[0] for page in PAGES for words in _block_commands(page.read_text())}
    assert shown >= set(typer.main.get_command(app).commands) - {"demo"}  # the demo is `make demo`
