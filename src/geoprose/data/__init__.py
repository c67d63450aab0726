"""Annotations to Samples and back, mixtures, collation, data cards, checks.

Imports the four steps. Imported by training and evaluation.
Start at records.py.
"""
