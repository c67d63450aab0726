"""Step 3: vision encoder, connector, fusion, language model.

Imports core and layout only. Imported by systems, training, inference.
Start at `GeoproseForConditionalGeneration` in composite.py.
"""
