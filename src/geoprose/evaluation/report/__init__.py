"""The report: one offline HTML file per run and per suite, and tables for papers with published numbers beside ours.

Imports metrics, scenes and geo; reads only what a run left on disk. Imported by evaluation and cli.
Start at `write_report` in build.py.
"""
