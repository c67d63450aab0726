"""Scores of boxes: intersection over union, matching, grounding, detection.

Imports answers and core. Imported by evaluation only.
Start at iou.py and matching.py, then grounding.py.
"""
