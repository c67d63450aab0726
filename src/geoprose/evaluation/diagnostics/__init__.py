"""Diagnostics: why a score is what it is. Coarser or damaged pictures, other domains, attention, embeddings, raters.

Imports the evaluation engine, inference and systems. Imported by cli only.
Start at `Diagnostic` in base.py, then registry.py; conditions.py asks the same questions about changed pictures.
"""
