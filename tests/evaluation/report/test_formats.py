"""Markdown, LaTeX, CSV and JSON: nothing lost, nothing unescaped, every mark explained."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoprose.evaluation.report.comparison import compare_runs, find_runs
from geoprose.evaluation.report.formats import FORMATS, latex_text, to_csv, to_json, to_latex, to_markdown
from geoprose.evaluation.report.grid import Cell, Column, Comparison, SystemRow
from geoprose.evaluation.report.published import reference_tables
from tests.fixtures.runs import HOSTILE, write_run

if TYPE_CHECKING:
    from pathlib import Path

SPECIALS = r"50% & more_of #1 $x^2$ {a}\b ~ <i> | `q` [l](u)"


def table(text: str = "A") -> Comparison:
    """A table with one number of each kind."""
    columns = (
        Column("a", "score", "accuracy", "scene: exact", "%"),
        Column(text, "score", text, "v: w", "%", f"bad {text}"),
    )
    rows = (
        SystemRow(text, "this run", f"commit {text}", False, {0: Cell(50.0, 40.0, 60.0, 12), 1: Cell(70.0)}),
        SystemRow(
            "GeoChat", "paper", "cite me", True, {0: Cell(84.48, None, None, 2100, "does not follow", "its own rule")}
        ),
    )
    return Comparison("task", text, columns, rows, (f"note {text}",))


def body(markdown: str) -> list[list[str]]:
    """Cells of every line of the table, as GitHub splits them."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_markdown_has_a_provenance_column_and_explains_its_marks() -> None:
    written = to_markdown([table()])
    lines = body(written)
    assert lines[0] == ["system", "a: accuracy (scene: exact)", "A: A (v: w)<sup>&sect;1</sup>", "provenance"]
    assert lines[2] == ["A", "50.0 [40.0-60.0]", "70.00", "this run<sup>2</sup>"]
    assert lines[3] == ["GeoChat", "84.48<sup>&dagger;3</sup><sup>&Dagger;4</sup>", "", "paper<sup>5</sup>"]
    notes = (
        "1. &sect; a faulty variant, shown to reproduce printed numbers: bad A",
        "3. &dagger; disputed: does not follow",
        "4. &Dagger; the source's own rule: its own rule",
        "5. cite me",
        "- note A",
    )
    for note in notes:
        assert note in written.replace("&amp;", "&")


@pytest.mark.parametrize("text", [SPECIALS, HOSTILE, "a|b\nc"])
def test_markdown_keeps_its_columns_and_shows_tags(text: str) -> None:
    written = to_markdown([table(text)])
    assert {len(line) for line in body(written)} == {4}
    assert "<img" not in written
    assert "<i>" not in written


def check_latex(source: str) -> None:
    """A strict reading: balanced groups and environments, as many cells as columns, no bare special characters."""
    assert source.isascii()
    environments = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", source):
        if kind == "begin":
            environments.append(name)
        else:
            assert environments.pop() == name
    assert environments == []
    bare = re.sub(r"\\[\\{}$&%#_]", "", source)
    assert bare.count("{") == bare.count("}")
    columns = 0
    for line in source.splitlines():
        if line.startswith("% "):
            continue
        if found := re.match(r"\\begin\{tabular\}\{(\w+)\}", line):
            columns = len(found[1])
        plain = re.sub(r"\\[&%#_$\\{}]", "", line).replace("{!}{%", "")
        if "&" in plain:
            assert plain.count("&") == columns - 1, line
        assert "%" not in plain, line
        assert "#" not in plain, line
        assert plain.count("$") % 2 == 0, line
        assert not re.search(r"[_~]", plain), line
        assert not re.search(r"\^(?!\{)", plain), line


@pytest.mark.parametrize("text", ["A", SPECIALS, HOSTILE, "two\nlines \x07"])
def test_latex_is_well_formed(text: str) -> None:
    written = to_latex([table(text)])
    check_latex(written)
    assert r"\toprule" in written
    assert r"84.48$^{\dagger}$$^{" in written
    assert "provenance" in written


def test_latex_of_every_published_number_is_well_formed() -> None:
    check_latex(to_latex(reference_tables()))


@given(st.text())
def test_any_text_is_safe_in_latex(text: str) -> None:
    written = latex_text(text)
    bare = re.sub(
        r"\\(textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar|textquotedbl)\{\}", "", written
    )
    assert not re.search(r"(?<!\\)[{}$&%#_]", bare)
    assert not re.search(r"[~^<>|\n]", bare)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(tmp_path: Path) -> None:
    document = (
        r"\documentclass{article}\usepackage{booktabs,graphicx}\begin{document}"
        + to_latex([table(SPECIALS)])
        + r"\end{document}"
    )
    (tmp_path / "t.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout[-800:]


def test_csv_has_one_line_a_number_and_no_formulas() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv([table("=HYPERLINK(1)")]))))
    assert len(rows) == 3
    assert rows[0]["system"] == "'=HYPERLINK(1)"
    assert (rows[0]["value"], rows[0]["ci95_low"], rows[0]["variant"]) == ("50.0", "40.0", "scene: exact")
    assert (rows[2]["disputed"], rows[2]["provenance"], rows[2]["n"]) == ("does not follow", "paper", "2100")
    assert rows[1]["fault"].startswith("bad")


def test_json_holds_what_markdown_shows(tmp_path: Path) -> None:
    runs = find_runs([write_run(tmp_path / "run", marker=HOSTILE)])
    loaded = json.loads(to_json(compare_runs(runs)))
    (one,) = loaded["tables"]
    assert one["columns"][0]["head"] == "scene: accuracy (scene: exact)"
    assert one["rows"][0]["system"] == f"tiny{HOSTILE}"
    assert one["rows"][0]["cells"]["0"]["value"] == 50.0


def test_every_format_names_the_provenance() -> None:
    for write in FORMATS.values():
        assert "cite me" in write([table()])
