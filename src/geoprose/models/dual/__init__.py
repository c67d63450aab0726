"""Dual encoders: a vision tower and a text tower in one embedding space.

Imported by systems and inference. Start at model.py.
"""
