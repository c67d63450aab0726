"""One run in several processes: ranks, cut models, signals, and processes that die.

Imports core; imported by the trainer, the session and the losses. Start at distributed.py.
"""
