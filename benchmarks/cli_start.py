"""CPU time of `geoprose --help` against a bare `import typer` process, interleaved."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from _harness import finish, interleave, process_cpu_seconds, target, versions


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object (always on)")
    parser.add_argument("--runs", type=int, default=15)
    arguments = parser.parse_args()
    geoprose = str(Path(sys.executable).with_name("geoprose"))
    commands = {
        "python_pass": [sys.executable, "-c", "pass"],
        "import_typer": [sys.executable, "-c", "import typer"],
        "import_geoprose": [sys.executable, "-c", "import geoprose"],
        "geoprose_help": [geoprose, "--help"],
    }
    seconds = interleave(
        {name: (lambda command=command: process_cpu_seconds(command)) for name, command in commands.items()},
        runs=arguments.runs,
    )
    ratio = seconds["geoprose_help"] / seconds["import_typer"]
    finish(
        {
            "benchmark": "cli_start",
            "figures_cpu_s": {name: round(value, 4) for name, value in seconds.items()},
            "ratios": {"geoprose_help_over_import_typer": round(ratio, 3)},
            "sizes": {"runs": arguments.runs},
            "versions": versions("geoprose", "typer", "rich"),
            "targets": [target("geoprose --help CPU over import typer", ratio, 1.5, at_most=True)],
        }
    )


if __name__ == "__main__":
    main()
