"""Named runs from end to end: the demo, and each reproduction of a published result.

Imports everything below it. Imported by the command line only.
Start at `run_demo` in demo.py.
"""
