"""What distillation compares and how: divergences, estimators, sampled answers, the teacher's pass, its cache.

Imported by the losses of training. Imports training.teacher, training.forward, data and below.
Start at teacher_pass.py (what the teacher says about a batch), then divergences.py.
"""
