"""Scores of answers in folders by what is scored: text, boxes, masks, labels, questions; retrieval beside them.

Imports answers, assets and core. Imported by evaluation only.
Start at `Metric` in base.py, then METRICS in registry.py.
"""
