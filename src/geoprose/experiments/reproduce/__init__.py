"""Published results reproduced at a size that two cores can run: arms, seeds, intervals, a verdict.

Imports everything below experiments. Imported by the command line only.
Start at `run_reproduction` in run.py; base.py says what a reproduction must offer.
"""
