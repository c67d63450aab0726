"""Layouts of prediction files: what each published kit writes, row by row.

Imports core and data.records. Imported by evaluation.score.
Start at `Layout` in base.py, then `open_predictions` in open.py.
"""
