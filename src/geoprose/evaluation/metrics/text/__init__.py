"""Scores of sentences: BLEU, ROUGE, METEOR, and the metrics of captions made of them and of CIDEr.

Imports data (words, n-grams, CIDEr), assets and core. Imported by evaluation only.
Start at captions.py, then text_scores.py.
"""
