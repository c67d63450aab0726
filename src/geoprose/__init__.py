"""geoprose: from GeoTIFF pixels to georeferenced prose.

Names are imported when first used, so ``import geoprose`` needs neither torch nor GDAL.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from geoprose.core.version import __version__

if TYPE_CHECKING:
    from geoprose.inference.ask import ask as ask
    from geoprose.scenes.open import open_scene as open
    from geoprose.scenes.read import read_scene as read_scene
    from geoprose.systems.load import load_system as load


_LAZY = {
    "ask": "geoprose.inference.ask:ask",
    "load": "geoprose.systems.load:load_system",
    "open": "geoprose.scenes.open:open_scene",
    "read_scene": "geoprose.scenes.read:read_scene",
}

__all__ = ["__version__", "ask", "load", "open", "read_scene"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'geoprose' has no attribute {name!r}; it offers {', '.join(__all__)}")
    module_name, _, attribute = _LAZY[name].partition(":")
    return getattr(import_module(module_name), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
