"""Several runs beside each other: which is best, is that real, what does it cost."""
