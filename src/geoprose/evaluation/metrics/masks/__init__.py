"""Scores of areas: masks and outlines, referring segmentation, change.

Imports answers and core. Imported by evaluation only.
Start at masks.py, then segmentation.py.
"""
