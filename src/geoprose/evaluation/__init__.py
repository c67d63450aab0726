"""Tasks, predictions, metrics, baselines, reports.

Imports inference, systems and data. Imported by experiments and the command line.
Start at `evaluate` in run.py.
"""
