"""Find out which image classifier is best on your clothing photos, and its cost."""

__version__ = "0.2.0"
