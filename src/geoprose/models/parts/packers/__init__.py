"""Packers: in which order the visual tokens of tiles enter the sequence, and what stands between them.

Imports models.parts.contracts; imported through models.registries only.
Start at flat.py.
"""
