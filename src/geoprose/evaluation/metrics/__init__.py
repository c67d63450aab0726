"""Scores of answers: exact match, lists, boxes, captions; pure functions with hand-computed tests.

Imports answers and core. Imported by evaluation only.
Start at `Metric` in base.py, then METRICS in registry.py.
"""
