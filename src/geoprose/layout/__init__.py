"""Pure arithmetic that processing and models must agree on: resize geometry, tile plans, visual-token counts.

Imports core only, no torch; imported by processing, models, answers.
Start at resize.py and tokens.py.
"""
