"""``geoprose report`` through the real program, and its page in a real browser."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.fixtures.runs import HOSTILE, write_run, write_suite

if TYPE_CHECKING:
    from pathlib import Path

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from geoprose.cli.main import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_suite(tmp_path_factory.mktemp("runs") / "suite", marker=HOSTILE)


def test_pages_of_a_suite(suite: Path) -> None:
    done = run("report", suite)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == f"report: {suite / 'report.html'}"
    assert (suite / "world" / "report.html").is_file()


def test_tables(suite: Path, tmp_path: Path) -> None:
    done = run("report", suite, "--format", "json", "--variants")
    assert done.returncode == 0
    assert [one["task"] for one in json.loads(done.stdout)["tables"]] == ["rsicd-scene", "world"]
    out = tmp_path / "table.tex"
    done = run("report", suite / "world", "--format", "latex", "--out", out)
    assert (done.returncode, done.stdout) == (0, "")
    assert out.read_text().startswith("% ")
    done = run("report", "--format", "markdown", "--with-references")
    assert "LHRS-Bot" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["report"], 2, "No run is given"),
        (["report", "--format", "csv"], 2, "--with-references"),
        (["report", "absent"], 4, "neither result.json nor suite.json"),
        (["report", "absent", "--out", "x.html"], 2, "lies beside its run"),
    ],
)
def test_bad_input(arguments: list[str], code: int, message: str) -> None:
    done = run(*arguments)
    assert done.returncode == code
    assert message in done.stderr


def browse(page: Path, profile: Path, *options: str) -> subprocess.CompletedProcess[str]:
    assert CHROMIUM is not None
    fixed = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", f"--user-data-dir={profile}"]
    command = [CHROMIUM, *fixed, "--host-resolver-rules=MAP * ~NOTFOUND", *options, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_the_page_works_in_a_browser(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", marker=HOSTILE)
    assert run("report", folder).returncode == 0
    done = browse(folder / "report.html", tmp_path / "profile", "--dump-dom", "--window-size=390,900")
    assert done.returncode == 0
    # The script ran, so its hash fits the policy; and nothing was blocked, so the page asked for nothing outside.
    assert "9 of 9 examples" in done.stdout
    assert "Content Security Policy" not in done.stderr
    assert "Uncaught" not in done.stderr
    assert '<img src="http' not in done.stdout
    # The checks above can fail: a picture from outside is blocked and said.
    page = tmp_path / "outside.html"
    page.write_text((folder / "report.html").read_text().replace("</body>", "<img src=http://evil.test/x></body>"))
    done = browse(page, tmp_path / "profile", "--dump-dom")
    assert "Content Security Policy" in done.stderr


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
@pytest.mark.slow
def test_the_filter_hides_and_the_page_prints(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    assert run("report", folder).returncode == 0
    page = folder / "report.html"
    # A copy with a second script, allowed beside ours, uses the controls as a reader would.
    test = ("var s = document.getElementById('filter-state'); s.value = 'right'; s.dispatchEvent(new Event('change'));"
            "document.title = document.querySelectorAll('.example:not([hidden])').length + ' shown, wide: '"
            " + (document.documentElement.scrollWidth > window.innerWidth);")  # fmt: skip
    html = (
        page.read_text()
        .replace("script-src ", "script-src 'unsafe-inline' 'nonce-x' ")
        .replace("</body>", f"<script nonce=x>{test}</script></body>")
    )
    copy = tmp_path / "copy.html"
    copy.write_text(html)
    done = browse(copy, tmp_path / "profile", "--dump-dom", "--window-size=500,900")
    assert "<title>3 shown, wide: false</title>" in done.stdout
    pdf = tmp_path / "page.pdf"
    assert browse(page, tmp_path / "profile", f"--print-to-pdf={pdf}").returncode == 0
    assert pdf.read_bytes().startswith(b"%PDF")
