"""Pure geometry: affine transforms, CRS, pixel to map, GSD, GeoJSON. No input or output, no torch.

Imports core only; imported by scenes, answers, data and evaluation.
Start at pixels.py (pixel to map) and geojson.py.
"""
