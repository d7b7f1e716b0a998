"""Figures, pages and lines on the terminal about one data set, network or run."""
