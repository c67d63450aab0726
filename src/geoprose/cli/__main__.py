"""``python -m geoprose.cli``: the command line for launchers that start modules, such as torchrun."""

from geoprose.cli.main import main

main()
