"""Sentences about pictures: their words and n-grams, and which are typical.

Imports core. Imported by the rest of data and by evaluation.
Start at consensus.py, then cider.py.
"""
