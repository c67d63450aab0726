"""Step 2: pictures and messages to tensors that the model takes.

Imports core and layout only. Imported by data, systems, training, inference.
Start at `GeoproseProcessor` in processor.py.
"""
