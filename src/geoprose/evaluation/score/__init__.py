"""Scoring of judged answers: variants side by side, by column, in bounded memory; anybody's prediction files.

Imports metrics, protocols, layouts and aggregate. Imported by evaluation.scoring and the command line.
Start at `score_file` in run.py; `Judge` in judge.py is what evaluation and scoring share.
"""
