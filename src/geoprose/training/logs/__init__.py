"""What a person and a machine read about a run: progress, log lines, trackers, ``run.json``.

Imports core; imported by the stage and the run. Start at progress.py.
"""
