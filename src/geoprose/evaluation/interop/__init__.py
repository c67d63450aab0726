"""Adapters: a system of this project inside lmms-eval and VLMEvalKit. Neither kit is needed to import this.

Imports inference and systems. Imported by those kits, never by the rest of evaluation.
Start at `Answerer` in answerer.py, then lmms_eval.py and vlmevalkit.py.
"""
