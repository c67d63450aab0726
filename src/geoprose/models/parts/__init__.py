"""Parts of a system, one folder per slot: encoders, connectors, packers, fusions, positions.

Parts take flat keyword arguments, never a config object. Imported through the registries in registries.py.
"""
