"""Position schemes of the language model.

Imports models.parts.contracts; imported through models.registries only.
Start at rope1d.py.
"""
