"""Scores of names: spellings, equality, confusion of classes, calibration.

Imports core. Imported by evaluation only.
Start at normalise.py and exact.py, then classification.py.
"""
