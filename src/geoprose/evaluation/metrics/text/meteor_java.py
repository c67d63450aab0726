"""METEOR 1.5 and SPICE through the Java programs that the package pycocoevalcap carries.

Nothing is downloaded or installed: where Java or the package is missing, the error says what is needed, and the report
shows the figure as unavailable.

Source:
    Denkowski and Lavie, Meteor Universal, 2014; Anderson et al., SPICE, arXiv:1607.08822; the calls are those of
    pycocoevalcap's meteor.py (``-l en -norm``) and spice.py.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING

from geoprose.core.errors import ResourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

PACKAGE = "pycocoevalcap"
_METEOR_JAR = "meteor/meteor-1.5.jar"
_SPICE_FILES = (
    "spice/spice-1.0.jar",
    "spice/lib/stanford-corenlp-3.6.0.jar",
    "spice/lib/stanford-corenlp-3.6.0-models.jar",
)
SPICE_TIMEOUT_S = 3600
_NO_WORDS = "emptycaption"  # matches nothing: an empty caption scores 0 and counts as one word of the whole set


def meteor_15(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[float, list[float]]:
    """Return METEOR 1.5 of the set and of each candidate.

    Args:
        candidates: Words joined by spaces.
        references: The same of each candidate's references.

    Raises:
        ResourceError: If Java or the package is missing, or the program fails.
    """
    java, jar = _java("METEOR 1.5"), _file("METEOR 1.5", _METEOR_JAR)
    command = [java, "-Xmx2G", "-jar", str(jar), "-", "-", "-stdio", "-l", "en", "-norm"]
    with subprocess.Popen(  # noqa: S603 - fixed program; captions only travel through its input
        command,
        cwd=jar.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        bufsize=1,
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise ResourceError("The METEOR 1.5 program has no pipes, so it cannot be spoken to.")
        try:
            return _converse(process.stdin, process.stdout, candidates, references)
        except (ValueError, OSError) as error:
            raise ResourceError(f"The METEOR 1.5 program failed ({error}). Try `java -version` and {jar}.") from error
        finally:
            process.kill()


def spice(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """Return the SPICE F1 of each candidate; the corpus value is their mean.

    Raises:
        ResourceError: If Java, the package or the Stanford models are missing, or the program fails.
    """
    java = _java("SPICE")
    jar, *_ = [_file("SPICE", name) for name in _SPICE_FILES]
    rows = [
        {"image_id": place, "test": candidate, "refs": list(own)}
        for place, (candidate, own) in enumerate(zip(candidates, references, strict=True))
    ]
    with tempfile.TemporaryDirectory(prefix="geoprose-spice-") as folder:
        asked, answered = Path(folder) / "in.json", Path(folder) / "out.json"
        asked.write_text(json.dumps(rows), encoding="utf-8")
        command = [java, "-Xmx8G", "-jar", str(jar), str(asked), "-out", str(answered), "-silent"]
        done = subprocess.run(  # noqa: S603 - fixed program; captions travel in a file
            command, cwd=jar.parent, capture_output=True, text=True, timeout=SPICE_TIMEOUT_S, check=False
        )
        if done.returncode != 0 or not answered.is_file():
            raise ResourceError(f"The SPICE program failed: {done.stderr.strip()[-400:] or 'no output'}.")
        found = {row["image_id"]: float(row["scores"]["All"]["f"]) for row in json.loads(answered.read_text())}
    return [found[place] for place in range(len(rows))]


def package_version() -> str:
    """Return ``pycocoevalcap`` with its version, for the report."""
    try:
        return f"{PACKAGE} {metadata.version(PACKAGE)}"
    except metadata.PackageNotFoundError:
        return PACKAGE


def _converse(
    to: IO[str], back: IO[str], candidates: Sequence[str], references: Sequence[Sequence[str]]
) -> tuple[float, list[float]]:
    statistics = []
    for candidate, own in zip(candidates, references, strict=True):
        # "|||" separates the fields of a line. The program never answers a line with an empty field.
        fields = [" ".join(text.replace("|||", " ").split()) or _NO_WORDS for text in (*own, candidate)]
        to.write(f"SCORE ||| {' ||| '.join(fields)}\n")
        to.flush()
        statistics.append(back.readline().strip())
    to.write(f"EVAL ||| {' ||| '.join(statistics)}\n")
    to.flush()
    scores = [float(back.readline()) for _ in candidates]
    return float(back.readline()), scores


def _java(what: str) -> str:
    java = shutil.which("java")
    if java is None:
        raise ResourceError(f"{what} needs Java, and no `java` is on the path. Install a Java runtime (8 or newer).")
    return java


def _file(what: str, name: str) -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ResourceError(f"{what} needs the package {PACKAGE}, which carries it. Run `pip install {PACKAGE}`.")
    path = Path(spec.submodule_search_locations[0]) / name
    if not path.is_file():
        raise ResourceError(
            f"{what} needs {name} of {PACKAGE}, which is not there. For SPICE, run its get_stanford_models.sh once."
        )
    return path
