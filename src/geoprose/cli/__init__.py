"""The command line: parse, load a spec, call one function, print or write.

Imports everything else lazily; nothing imports it. Start at `app` in main.py.
"""
