"""Parts of the composite, one folder or file per slot; each takes flat keyword arguments and no config object.

Imports core and layout; imported by models.composite through models.registries only.
Start at contracts.py.
"""
