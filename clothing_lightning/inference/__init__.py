"""A trained network put to use: predictions, evaluation, explanation."""
