"""The ways a system can be asked: it writes, ranks options, names the nearest label, retrieves, or draws a map.

Imports inference, data and core. Imported by evaluation only.
Start at `Answering` in base.py, then registry.py; prompts.py says what a question looks like.
"""
