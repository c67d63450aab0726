"""Step 4: generated text to boxes and GeoJSON.

Imports core, geo and layout only. Imported by data, inference, evaluation.
Start at `parse_answer` in parse.py.
"""
