"""The report: one offline HTML file with tables, plots, a map and examples.

Imports metrics, scenes and geo. Imported by evaluation only.
Start at `write_report` in build.py.
"""
