"""Step 3: the parts and the composite that turn tiles and token ids into answer tokens.

Imports core and layout (torch and transformers in every module but contracts of names); imported by systems.
Start at GeoproseForConditionalGeneration in composite.py, then registries.py.
"""
