"""Connectors: patch features to visual tokens of the language model's width.

Imports models.parts.contracts; imported through models.registries only.
Start at mlp.py.
"""
