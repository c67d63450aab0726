"""Make the report of a run or of a suite: one offline HTML file, made only from what lies on disk.

Every value from data is escaped by the template engine or by ``charts.tag``. The page runs one script of ours, allowed
by its hash in the content security policy, so a script that came in through data could not run even if it got in.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoprose.core.files import write_text
from geoprose.evaluation.report import context
from geoprose.evaluation.report.confusion import confusions
from geoprose.evaluation.report.examples import STATES, build_gallery
from geoprose.evaluation.report.figures import show, show_plain
from geoprose.evaluation.report.files import RunFiles, read_run, score_rows, write_drawings
from geoprose.evaluation.report.map import correctness_map

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from geoprose.core.types import Sample
    from geoprose.evaluation.predictions import Prediction
    from geoprose.evaluation.scoring import Scored
    from geoprose.evaluation.tasks import TaskSpec

TEMPLATE_DIR = Path(__file__).parent / "templates"
REPORT_NAME = "report.html"


@dataclass(frozen=True)
class ReportInputs:
    """A run that has just been scored.

    Attributes:
        task: The task.
        result: ``result.json``.
        samples: The samples, in order.
        predictions: Raw answers per source, in that order.
        scored: Judgements per source, in that order.
        data_dir: Folder that image paths are relative to.
    """

    task: TaskSpec
    result: Mapping[str, Any]
    samples: Sequence[Sample]
    predictions: Mapping[str, Sequence[Prediction]]
    scored: Mapping[str, Scored]
    data_dir: Path


def write_report(path: Path, inputs: ReportInputs) -> None:
    """Write the report of a run that has just been scored; its files lie beside ``path``.

    What pictures need and the predictions do not hold goes to ``drawings.jsonl``, so that the page can be made again
    without the data set's reader.
    """
    write_drawings(path.parent, inputs.samples)
    files = read_run(path.parent, inputs.data_dir)
    scores = score_rows(inputs.samples, inputs.scored["system"].judgements)
    task = inputs.task.model_dump(mode="json")
    render_run(path, replace(files, result=inputs.result, scores=scores, run={**files.run, "task": task}))


def write_run_report(run_dir: Path, data_dir: Path | None = None) -> Path:
    """Make the report of a run again from its folder; no model is needed.

    Args:
        run_dir: Folder with ``result.json``; whatever else is missing is left out of the page.
        data_dir: Where the pictures lie; the folder named in ``run.json`` when None.

    Returns:
        Path of the page.

    Raises:
        TaskError: If there is no readable result.
    """
    render_run(run_dir / REPORT_NAME, read_run(run_dir, data_dir))
    return run_dir / REPORT_NAME


def write_suite_report(out_dir: Path) -> Path:
    """Make the page of a suite from ``suite.json`` and the results of its tasks; it links to their pages.

    Returns:
        Path of the page.

    Raises:
        TaskError: If there is no readable ``suite.json``.
    """
    from geoprose.evaluation.report.suite import suite_context

    values = suite_context(out_dir)
    write_text(out_dir / REPORT_NAME, render_page("suite.html.j2", values))
    return out_dir / REPORT_NAME


def write_pages(folders: Sequence[Path], data_dir: Path | None = None) -> list[Path]:
    """Make the pages of runs and suites again; of a suite first those of its tasks, then its own.

    Args:
        folders: Folders of runs or suites.
        data_dir: Where the pictures lie: of a run its data folder, of a suite the folder above those of its tasks; as
            recorded in each run when None.

    Returns:
        Paths of the pages.

    Raises:
        TaskError: If a folder holds neither a run nor a suite; nothing is written then.
    """
    from geoprose.evaluation.report.suite import task_folders

    planned = [(folder, task_folders(folder, data_dir)) for folder in folders]
    written = []
    for folder, tasks in planned:
        if tasks is None:
            written.append(write_run_report(folder, data_dir))
        else:
            written += [write_run_report(own, data) for own, data in tasks]
            written.append(write_suite_report(folder))
    return written


def render_run(path: Path, files: RunFiles) -> None:
    """Write the page of one run."""
    write_text(path, render_page("run.html.j2", _run_values(path, files)))


def _run_values(path: Path, files: RunFiles) -> dict[str, Any]:
    result, task = files.result, files.run.get("task", {})
    system = result.get("system", {})
    name = system.get("name", "") if isinstance(system, dict) else str(system)
    drawings = files.drawings()
    types = result.get("overall_types") or list(result.get("by_type", {}))
    suite = path.parent.parent / "suite.json"
    return {
        "title": task.get("title") or str(result.get("task", "Evaluation")),
        "description": task.get("description", ""),
        "who": [part for part in (name, f"{result['images']:,} pictures" if "images" in result else "") if part],
        "task": task,
        "result": result,
        "system": system if isinstance(system, dict) else {"name": name},
        "names": context.NAMES,
        "columns": [(source, context.SHORT.get(source, source)) for source in result.get("baselines", {})],
        "rows": context.score_rows(result, task),
        "cards": context.cards(result),
        "variants": context.variants_of(result, task),
        "details": context.details_of(result),
        "warnings": context.warnings_of(result),
        "confusions": confusions(result.get("by_type", {}), files.scores),
        "map": correctness_map(files.scores, drawings, set(types), files.data_dir),
        "gallery": build_gallery(files, drawings),
        "states": STATES,
        "facts": context.facts_of(files),
        "is_in_suite": suite.is_file(),
    }


def render_page(name: str, values: Mapping[str, Any], folder: Path = TEMPLATE_DIR) -> str:
    """Return a page in the dress of the reports.

    Args:
        name: Template, in ``folder`` or here.
        values: What it shows; every value is escaped unless it is ``Markup``.
        folder: Where further templates lie.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([folder, TEMPLATE_DIR]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=lambda value: f"{100 * value:.1f}",
        signed=lambda value: f"{100 * value:+.1f}",
        plain=show_plain,
        show=show,
        interval=context.intervals_text,
    )
    style, script = ((TEMPLATE_DIR / file).read_text(encoding="utf-8").strip() for file in ("page.css", "page.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    page = environment.get_template(name).render(**values, style=style, script=script, script_hash=f"sha256-{digest}")
    return page.rstrip() + "\n"
