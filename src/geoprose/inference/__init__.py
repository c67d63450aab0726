"""Ask a system: one question, many questions, a scene.

Imports systems, scenes, processing and answers. Imported by evaluation and the command line.
Start at `ask` in ask.py.
"""
