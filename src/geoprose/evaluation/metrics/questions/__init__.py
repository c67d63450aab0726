"""Scores of short answers: questions, choices, yes or no, numbers, counts, named objects.

Imports core and its neighbour labels. Imported by evaluation only.
Start at vqa.py, then yes_no.py and choice.py.
"""
