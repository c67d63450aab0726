"""Stages, freeze plans, losses and the one trainer.

Imports systems and data. Imported by experiments and the command line.
Start at `run_recipe` in run.py.
"""
