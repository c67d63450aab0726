"""Run a diagnostic and leave what a run leaves: ``result.json``, ``run.json`` and ``report.html``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoprose.core import provenance
from geoprose.core.files import write_json
from geoprose.core.spec import apply_overrides, validate
from geoprose.evaluation.diagnostics.registry import DIAGNOSTICS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from geoprose.evaluation.diagnostics.base import Diagnostic, Finding, Request

RESULT_NAME, RUN_NAME = "result.json", "run.json"


def list_diagnostics() -> dict[str, str]:
    """Return what every diagnostic measures, by name."""
    return {name: DIAGNOSTICS.get(name).title for name in DIAGNOSTICS.names()}


def build_diagnostic(name: str, values: Mapping[str, Any], overrides: Sequence[str] = ()) -> Diagnostic:
    """Return a diagnostic with its options.

    Args:
        name: Name in the table of diagnostics.
        values: Options by name.
        overrides: Further ones as ``key=value``, the value read as YAML.

    Raises:
        ConfigError: If the name or an option is unknown or wrong; close names are listed.
    """
    return validate(DIAGNOSTICS.get(name), apply_overrides(values, overrides), f"diagnostic {name}")


def diagnose(name: str, diagnostic: Diagnostic, request: Request) -> dict[str, Any]:
    """Run a diagnostic and write its result, record and report.

    Args:
        name: Its name in the table.
        diagnostic: The diagnostic with its options.
        request: Who is examined, on what, and where the results go.

    Returns:
        The content of ``result.json``.

    Raises:
        GeoproseError: As the diagnostic does.
    """
    from geoprose.evaluation.report.build import write_run_report

    request.out_dir.mkdir(parents=True, exist_ok=True)
    finding = diagnostic.run(request)
    result = _result(name, diagnostic, request, finding)
    write_json(request.out_dir / RESULT_NAME, result)
    task = {"name": result["task"], "title": diagnostic.title, "description": diagnostic.description, "types": {}}
    write_json(request.out_dir / RUN_NAME, {"task": task, "system": result["system"], "diagnostic": name})
    write_run_report(request.out_dir)
    return result


def _result(name: str, diagnostic: Diagnostic, request: Request, finding: Finding) -> dict[str, Any]:
    block: dict[str, Any] = {"n": finding.n, "metric": finding.metric}
    if finding.score is not None:
        block |= {"score": finding.score, "accuracy": finding.score if finding.is_share else None}
    if finding.ci95:
        block["ci95"] = list(finding.ci95)
    tables = {"tables": dict(finding.tables), "unavailable": dict(finding.unavailable)}
    task = request.task if isinstance(request.task, str) else getattr(request.task, "name", "")
    return {
        "diagnostic": name,
        "task": task or name,
        "system": {"name": ""},
        "overall": block,
        "by_type": {name: {**block, **tables}},
        "warnings": list(finding.warnings),
        "options": diagnostic.model_dump(mode="json"),
        "seeds": {"diagnostic": diagnostic.seed},
        "limit": request.limit,
        "versions": provenance.package_versions(),
        "git_commit": provenance.git_commit(),
        **finding.facts,
    }
