"""Fusions: how visual tokens meet the language model.

Imports models.parts.contracts; imported through models.registries only.
Start at scatter.py.
"""
