"""What a stage leaves on disk, whole or not at all, and how a run goes on from it.

Imports training.specs and core; imported by the trainer, the stage and the run. Start at checkpoint.py.
"""
