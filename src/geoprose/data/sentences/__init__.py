"""Sentences about pictures: their words and n-grams, and how far several agree.

Imports core. Imported by the rest of data and by evaluation.
Start at agreement.py, then cider.py.
"""
