"""Readers of benchmarks that are not about remote sensing: choices, yes/no, text in pictures, mathematics, video.

Imports data.readers and data.records. Imported by the table of readers.
Start at `HubReader` in hub.py (parquet files) and `TsvReader` in tsv.py; the others are the authors' own layouts.
"""
