"""Scores of sentences: words, n-grams, BLEU, ROUGE, CIDEr, METEOR, and the metrics of captions made of them.

Imports assets and core. Imported by evaluation only.
Start at captions.py, then text_scores.py.
"""
