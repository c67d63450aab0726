"""Language models that transformers has only inside a larger class.

Imports models and transformers; imported by models.language_models through its table. Start at chameleon.py.
"""
