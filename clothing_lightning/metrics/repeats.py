"""Several runs of the same experiment: how far their results lie apart."""

import pandas as pd

from clothing_lightning.errors import DataError


def spread(scores: pd.DataFrame) -> dict[str, float]:
    """Mean and standard deviation over runs.

    Args:
        scores: One row for each run, one column for each metric.

    Returns:
        For each column its mean under the column's name, and under that name and
        ``_std`` the standard deviation of a sample (divided by n - 1; NaN of one run).
    """
    mean, std = scores.mean(), scores.std(ddof=1)
    named = std.rename(lambda name: f"{name}_std")
    return {str(name): float(value) for name, value in pd.concat([mean, named]).items()}


def pooled(folds: list[pd.DataFrame]) -> pd.DataFrame:
    """All images of a cross-validation, each tested by the fold that left it out.

    Args:
        folds: The predictions table of each fold.

    Returns:
        One predictions table; a class that a fold did not know has probability 0 there.

    Raises:
        DataError: If an image is in more than one fold.
    """
    table = pd.concat(folds, ignore_index=True)
    twice = table["path"][table["path"].duplicated()]
    if not twice.empty:
        raise DataError(
            f"{twice.iloc[0]!r} is tested in more than one fold ({len(twice)} such "
            "images). Folds of one cross-validation leave out different images."
        )
    names = sorted(set(table.columns) - {"path", "label"})
    return table.reindex(columns=["path", "label", *names]).fillna(0.0)
