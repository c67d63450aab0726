"""The version of geoprose, in one place; a test holds it equal to the package's metadata."""

__version__ = "0.1.0"
