"""The demo's world: Blue Marble tiles, MODIS land cover as independent labels, questions with checked answers.

Imported by cli and experiments. Imports core, assets and data.
Start at build.py (`build_world`), then settings.py and classes.py.
"""
