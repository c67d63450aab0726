"""Step 1: raster files to Scene values, opened safely, read lazily.

Imports core and geo only. Imported by data, inference and the command line.
Start at `open_scene` in open.py.
"""
