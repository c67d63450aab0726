"""Learning from preferences and rewards: answers compared, reference log-probabilities, reward head, policy gradients.

Imports answers, systems, data and the rest of training. Imported by training (losses, feeds, stages) and evaluation.
Start at answers.py (what is compared), then reference.py.
"""
