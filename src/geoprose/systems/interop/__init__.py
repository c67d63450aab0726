"""Published layouts of the same models: key maps, configs, and what their classes call the inputs.

One file per family. Imported by systems (import, export, verify) and by the parity tests. Start at base.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.core.registry import Registry

if TYPE_CHECKING:
    from geoprose.systems.interop.base import Reference

REFERENCES: Registry[type[Reference]] = Registry(
    slot="reference",
    table={
        "llava": "geoprose.systems.interop.llava:LlavaReference",
    },
)
