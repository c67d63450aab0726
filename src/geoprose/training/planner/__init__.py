"""What a recipe needs before it is run: memory of each accelerator, hours, and what to change where it does not fit.

Imports systems and the rest of training; imported by the command line. Start at plan.py, then trace.py.
"""
