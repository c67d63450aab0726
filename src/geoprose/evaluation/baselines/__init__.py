"""What a score must beat: frequent answers, shuffled pictures, colour statistics, a linear probe.

Imports inference, data and systems. Imported by evaluation only.
Start at majority.py, shuffled.py, then symbolic.py.
"""
