"""Dense systems without a language model: masks from dual-encoder features, and the factorised encoder.

Imported by systems. Start at model.py.
"""
