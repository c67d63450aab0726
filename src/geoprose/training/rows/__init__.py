"""Samples to rows of tokens and rows to micro-batches: packing with isolation, limits, order.

Imports data and training.pictures; imported by the feeds and the stage. Start at batches.py.
"""
