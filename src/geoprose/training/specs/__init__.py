"""A recipe as data: every field that a recipe YAML may hold, with its meaning.

Imports core only; imported by the rest of training. Start at recipe.py, then stage.py.
"""
