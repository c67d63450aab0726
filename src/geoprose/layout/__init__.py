"""Pure arithmetic that processing and models must agree on: resize plans and visual-token counts.

Imports core only, never torch; imported by processing, models, answers and everything above.
Start at plan_resize in resize.py.
"""
