"""The pages: offline, escaped, allowed to run one script, the same bytes each time, made from whatever is on disk."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import TaskError
from geoprose.evaluation.report.build import TEMPLATE_DIR, write_pages, write_run_report, write_suite_report
from tests.fixtures.runs import HOSTILE, write_run, write_suite

if TYPE_CHECKING:
    from pathlib import Path

VOID = {"meta", "img", "input", "br", "link", "hr"}
SVG_SHAPES = {"polygon"}


class Page(HTMLParser):
    """Tags, attributes and texts of a page; fails on tags that do not close."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, name: str) -> list[dict[str, str | None]]:
        """Return the attributes of every tag of a name."""
        return [attributes for tag, attributes in self.tags if tag == name]


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run")


def read(path: Path) -> tuple[str, Page]:
    html = path.read_text(encoding="utf-8")
    return html, Page(html)


def check_offline(page: Page) -> None:
    for tag, attributes in page.tags:
        for key in ("src", "href", "action", "data", "poster", "srcset", "xlink:href"):
            value = attributes.get(key)
            if value is None:
                continue
            if tag == "a":
                assert not re.match(r"[a-z]+:|//", value), value
            else:
                assert value.startswith("data:image/"), (tag, value)
        assert not any(key.startswith("on") for key in attributes), attributes


def test_the_page_shows_what_was_scored(run_dir: Path) -> None:
    _, page = read(write_run_report(run_dir))
    for words in ("Scenes", "50.0", "95 % interval 40.0 to 60.0", "+17.0", "chance: 1 of 3", "vhm-substring", "faulty",
                  "Empty counts.", "ece", "0.1234", "needs java", "kappa 0.25", "Trained on nothing.", "abababababab",
                  "small", "Which scene?", "no idea", "could not be read", "s11", "made for tests"):  # fmt: skip
        assert words in page.text, words
    assert len(page.all("article")) == 9
    assert len([one for one in page.all("svg") if one.get("role") == "img"]) == 3  # curve, reliability, map
    assert page.all("polygon")


def test_nothing_is_loaded_and_only_our_script_may_run(run_dir: Path) -> None:
    html, page = read(write_run_report(run_dir))
    check_offline(page)
    (policy,) = (one["content"] for one in page.all("meta") if one.get("http-equiv") == "Content-Security-Policy")
    (script,) = re.findall(r"<script>(.*?)</script>", html, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy is not None
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "@import" not in html
    assert "url(" not in html


@pytest.mark.parametrize("marker", [HOSTILE, "</script><script>alert(1)</script>", "\"'><b onclick=x>", "{{ 7 * 7 }}"])
def test_every_text_from_data_is_escaped(tmp_path: Path, marker: str) -> None:
    plain_tags = [tag for tag, _ in read(write_run_report(write_run(tmp_path / "a")))[1].tags]
    _, page = read(write_run_report(write_run(tmp_path / "b", marker=marker)))
    # The same elements as without the marker: nothing that came in through data became markup.
    assert [tag for tag, _ in page.tags] == plain_tags
    check_offline(page)
    assert page.text.count(marker) > 30
    assert "49" not in page.text.replace("s49", "") or marker != "{{ 7 * 7 }}"


def test_accessible_names(run_dir: Path) -> None:
    html, page = read(write_run_report(run_dir))
    assert page.all("html")[0]["lang"] == "en"
    assert all(one.get("alt") for one in page.all("img"))
    assert all(one.get("aria-label") or one.get("aria-hidden") for one in page.all("svg"))
    labelled = re.findall(r"<label>[^<]*<(?:select|input)", html)
    assert len(labelled) == len(page.all("select")) + len(page.all("input")) == 3
    assert all(one.get("scope") for one in page.all("th"))
    ids = [one["id"] for _, one in page.tags if one.get("id")]
    assert len(ids) == len(set(ids))
    assert {str(one["href"])[1:] for one in page.all("a") if str(one["href"]).startswith("#")} <= set(ids)


def _luminance(colour: str) -> float:
    parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", [0, 1])
def test_text_has_enough_contrast_in_light_and_dark(theme: int) -> None:
    """WCAG 2.1, success criterion 1.4.3: 4.5 to 1."""
    css = (TEMPLATE_DIR / "page.css").read_text()
    colours = dict(
        re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6});", re.findall(r":root \{(.*?)\}", css, flags=re.DOTALL)[theme])
    )
    pairs = [(text, back) for text in ("ink", "soft", "blue", "good", "bad", "near") for back in ("paper", "wash")]
    for text, back in [*pairs, ("on-cell", "cell")]:
        light, dark = sorted((_luminance(colours[text]), _luminance(colours[back])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, back)


def test_the_same_run_gives_the_same_bytes(run_dir: Path) -> None:
    first = write_run_report(run_dir).read_bytes()
    assert write_run_report(run_dir).read_bytes() == first


def test_a_result_alone_gives_a_page(tmp_path: Path) -> None:
    warnings = [{"kind": "k", "message": "mind this", "type": "a", "examples": ["e"]}, "plain"]
    results: list[dict[str, object]] = [
        {},
        {"task": "x", "by_type": {"a": {"n": 1}}},
        {"overall": {"n": 3, "metric": "MAE", "score": 2.5, "accuracy": None}},
        {"system": "name", "warnings": warnings},
    ]
    for number, result in enumerate(results):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "result.json").write_text(json.dumps(result))
        _, page = read(write_run_report(folder))
        assert "No baseline was computed" in page.text
    assert "mind this" in page.text
    assert "plain" in page.text


def test_an_error_is_not_multiplied_by_a_hundred(tmp_path: Path) -> None:
    overall = {"n": 3, "metric": "MAE", "score": 2.5, "accuracy": None, "ci95": [2.0, 3.0]}
    (tmp_path / "result.json").write_text(json.dumps({"overall": overall, "by_type": {"count": overall}}))
    _, page = read(write_run_report(tmp_path))
    assert "250" not in page.text
    assert "2.5" in page.text


def test_an_interval_over_one_picture_is_no_certainty(tmp_path: Path) -> None:
    overall = {"n": 30, "metric": "accuracy", "score": 0.4, "accuracy": 0.4, "ci95": None}
    (tmp_path / "result.json").write_text(json.dumps({"overall": overall}))
    _, page = read(write_run_report(tmp_path))
    assert "too few pictures" in page.text


def test_ten_thousand_predictions_stay_a_small_page(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    for name in ("predictions", "judgements", "drawings"):
        path = folder / f"{name}.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        copies = ({**row, "id": f"{row['id']}-{number}"} for number in range(834) for row in rows)
        path.write_text("".join(json.dumps(row) + "\n" for row in copies))
    page = write_run_report(folder)
    assert page.stat().st_size < 400_000
    assert "5,004 right" in read(page)[1].text


def test_a_suite_links_to_its_tasks_and_names_what_was_skipped(tmp_path: Path) -> None:
    folder = write_suite(tmp_path / "suite", marker=HOSTILE)
    overall = {"n": 5, "metric": "MAE", "score": 3.0, "accuracy": None}
    (folder / "world" / "result.json").write_text(json.dumps({"overall": overall}))
    written = write_pages([folder])
    assert written == [folder / "rsicd-scene/report.html", folder / "world/report.html", folder / "report.html"]
    _, page = read(folder / "report.html")
    check_offline(page)
    assert [one["href"] for one in page.all("a")] == ["#main", "rsicd-scene/report.html", "world/report.html"]
    assert "the data folder is missing" in page.text
    assert "scene: exact" in page.text
    assert "1 faulty variants beside it" in page.text
    assert "aid: shards 2, 3 are missing" in page.text
    assert "majority / type" in page.text
    _, task = read(folder / "rsicd-scene/report.html")
    assert "../report.html" in [one["href"] for one in task.all("a")]


def test_pictures_of_a_suite_that_moved_are_found_below_data(tmp_path: Path) -> None:
    folder = write_suite(tmp_path / "suite", ("world",))
    run = json.loads((folder / "world" / "run.json").read_text())
    (folder / "world" / "run.json").write_text(json.dumps({**run, "data_dir": "/elsewhere/world-data"}))
    page = write_pages([folder])[0]
    assert "give --data" in read(page)[1].text
    write_pages([folder], folder)  # the data folder of the fixture lies beside the task's
    assert "give --data" not in read(page)[1].text


def test_a_task_outside_the_suite_is_not_followed(tmp_path: Path) -> None:
    folder = write_suite(tmp_path / "suite", ("world",))
    write_run(tmp_path / "private")
    (folder / "suite.json").write_text(
        json.dumps({"suite": "s", "system": "x", "tasks": {"../private": {}, "world": {}}})
    )
    write_suite_report(folder)
    _, page = read(folder / "report.html")
    assert [one["href"] for one in page.all("a")] == ["#main"]
    assert write_pages([folder]) == [folder / "world/report.html", folder / "report.html"]


def test_a_folder_that_is_neither_is_refused_before_anything_is_written(run_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(TaskError, match="neither"):
        write_pages([run_dir, tmp_path / "empty"])
    assert not (run_dir / "report.html").exists()
