"""Heads that write pictures: hidden states to codes of an image tokenizer.

Imports models.parts.contracts; imported through models.registries only. Start at token_codes.py.
"""
