"""Step 4: generated text to boxes, and boxes to the map.

Imports core, geo and layout only; imported by data (targets), inference and evaluation.
Start at `parse_answer` in codecs.py, then `place_on_map` in place.py.
"""
