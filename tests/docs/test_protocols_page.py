"""The page of protocols names every variant and shows every fault."""

from __future__ import annotations

import runpy
from pathlib import Path

from geoprose.evaluation.protocols import list_protocols, load_protocol

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_every_variant_and_fault_is_shown() -> None:
    page = runpy.run_path(str(DOCS / "generate_protocols.py"))["render_protocols"]()
    for name in list_protocols():
        section = page.split(f"\n## {name}\n", 1)[1].split("\n## ", 1)[0].replace("\\|", "|").replace("&lt;", "<")
        protocol = load_protocol(name)
        assert section.count("(default)") == 1
        for variant, spec in protocol.variants.items():
            assert f"`{variant}`" in section, (name, variant)
            assert spec.source in section
            assert spec.fault in section
        assert section.count("**Fault:**") == sum(bool(spec.fault) for spec in protocol.variants.values())
