"""Figures and pages made from what the analysis returns."""
