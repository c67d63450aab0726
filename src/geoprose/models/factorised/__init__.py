"""The factorised encoder of several sensors and dates (SkySense-style).

Imported by systems. Start at model.py.
"""
