"""Preference data from a system's own answers: sampled, judged by a task's metric, paired.

Imports inference, data and the rest of evaluation. Imported by the command line.
Start at `build_preferences` in build.py.
"""
