"""Readers of the field's public folder layouts: one file per dataset family, each yields Sample.

Imports core and data.records. Imported by data and evaluation.
Start at `Reader` in base.py, then READERS in registry.py.
"""
