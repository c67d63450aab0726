"""Weights and imagery by name: local path, hub id at a pinned revision, or registry package, always by SHA-256.

Imports core; imported by data, systems and the command line.
Start at `resolve` in resolve.py.
"""
