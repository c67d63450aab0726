"""Stages, freeze plans, losses and the one engine that trains them.

Imported by evaluation, experiments and cli. Imports data, systems and below.
Start at `run_recipe` in run.py, then spec.py.
"""
