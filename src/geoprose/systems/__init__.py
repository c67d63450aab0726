"""A preset name to a consistent model and processor; load and save.

Imports models, processing and assets. Imported by training, inference, evaluation.
Start at `build_system` in build.py.
"""
