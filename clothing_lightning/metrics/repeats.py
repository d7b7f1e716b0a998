"""The results of several runs of one experiment, summed up or pooled."""

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
    both = pd.concat([scores.mean(), scores.std(ddof=1).add_suffix("_std")])
    return {str(name): float(value) for name, value in both.items()}


def pooled(folds: list[pd.DataFrame]) -> pd.DataFrame:
    """Join the predictions tables of folds, each of which tested what it left out.

    Returns:
        One predictions table. Probabilities of a class that a fold did not know are 0.

    Raises:
        DataError: If an image is in more than one fold.
    """
    table = pd.concat(folds, ignore_index=True)
    repeated = table["path"][table["path"].duplicated()]
    if not repeated.empty:
        raise DataError(
            f"{repeated.iloc[0]!r} is tested in more than one fold ({len(repeated)} "
            "such images). Folds of one cross-validation leave out different images."
        )
    names = sorted(set(table.columns) - {"path", "label"})
    return table.reindex(columns=["path", "label", *names]).fillna(0.0)
