"""The published box formats, one module each, over four grammars (braces, brackets, points, JSON).

Imports the rest of answers only. Start at the table in ../codecs.py.
"""
