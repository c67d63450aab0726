"""The budgets of the house: short files, short functions. An exception carries `# budget: <reason>`."""

from __future__ import annotations

import ast
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src" / "geoprose"
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 60
TARGET_FUNCTION_LINES = 40


def _functions(path: Path) -> list[tuple[str, int, str]]:
    """(name, lines without docstring, first source line) of every function of a file."""
    lines = path.read_text().splitlines()
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = node.body[0] if ast.get_docstring(node) else None
            documented = (docstring.end_lineno - docstring.lineno + 1) if docstring and docstring.end_lineno else 0
            length = (node.end_lineno or node.lineno) - node.lineno + 1 - documented
            found.append((node.name, length, lines[node.lineno - 1]))
    return found


def test_files_are_short() -> None:
    too_long = {
        str(path.relative_to(SOURCE)): count
        for path in SOURCE.rglob("*.py")
        if (count := len(path.read_text().splitlines())) > MAX_FILE_LINES and "# budget:" not in path.read_text()
    }
    assert too_long == {}


def test_functions_are_short() -> None:
    too_long = [
        f"{path.relative_to(SOURCE)}:{name} {length}"
        for path in SOURCE.rglob("*.py")
        for name, length, source in _functions(path)
        if length > MAX_FUNCTION_LINES and "# budget:" not in source
    ]
    assert too_long == []


def test_nearly_all_functions_keep_the_target() -> None:
    lengths = [length for path in SOURCE.rglob("*.py") for _, length, _ in _functions(path)]
    assert sum(length > TARGET_FUNCTION_LINES for length in lengths) <= 0.02 * len(lengths)
