"""The vocabulary that every other folder speaks: errors, registry, spec base, value types.

Imports nothing of geoprose and no torch; every folder may import it.
Start at types.py (GeoRef, Box, Message, Sample, Answer), then errors.py.
"""
