"""Specs of the slots, one file per slot; geoprose.systems.spec puts them together.

Imports core, layout and the names of the registries. Start at base.py.
"""
