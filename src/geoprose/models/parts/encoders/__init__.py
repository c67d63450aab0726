"""Vision encoders: pixels of a tile to patch features, prefix tokens removed.

Imports models.parts.contracts; imported through models.registries only.
Start at hf.py.
"""
