"""The pictures of a stage: looked at once, encoded once, read from the cache or as pixels.

Imports systems and data; imported by the feeds and the session. Start at vision.py.
"""
