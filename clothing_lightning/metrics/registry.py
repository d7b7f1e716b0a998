"""The metrics, one entry each: a new entry is computed, logged and shown everywhere.

A metric is a function of `Counts`, which hold numpy arrays or torch tensors alike. So
the value of an epoch, the value of a stored table of predictions and the value of a
resample come from the same formula.

Balanced accuracy: Brodersen et al., "The Balanced Accuracy and Its Posterior
Distribution", ICPR 2010. Matthews' correlation coefficient of several classes:
Gorodkin, "Comparing Two K-Category Assignments by a K-Category Correlation
Coefficient", Computational Biology and Chemistry 28, 2004,
doi:10.1016/j.compbiolchem.2004.09.006.
"""

from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

Array = Any  # a numpy array or a torch tensor
Table = Literal["fit", "evaluate", "page", "terminal"]
"""Where a metric is shown: in the results of a fit and of groups of runs; in those of
an evaluation; in the files of a comparison; in the comparison's table on the terminal.
Those of "fit" and "terminal" have to fit into 80 columns."""


class Counts(NamedTuple):
    """The predictions for a set of images, added up.

    The first axis is that of the classes; further axes, such as one of resamples, stay.

    Attributes:
        support: Images of each class.
        predicted: Images for which each class was predicted.
        hits: Images of each class for which it was predicted.
        ranks: Images by the number of classes that rank before the true one; None in
            resamples.
        cross_entropy: Sum over the images, in nats; None in resamples.
    """

    support: Array
    predicted: Array
    hits: Array
    ranks: Array = None
    cross_entropy: Array = None


@dataclass(frozen=True, kw_only=True)
class Metric:
    """How a metric is computed, and how it is shown.

    Attributes:
        label: Heading of its column in tables.
        definition: The line that explains it in the report of one evaluation.
        compute: Function that gives its value; None if it takes more than counts.
        higher_is_better: Whether the best value is the highest one.
        tables: Where it is shown. It is logged anyway.
        top: k of a share of images whose true class is among the first k, else 0. Such
            a share has Wilson's interval, and is left out where there are no more than
            k classes, unless k is 1.
        by_class: Function that gives the value of each class, 0 to 1, if the metric is
            their mean over the classes that have images. Such a mean has an interval
            from resamples in comparisons.
        most_images: How many times the images of even classes such a mean may be worth
            in its interval; see `bootstrap.Scores.interval`.
        paired_test: Whether comparisons test differences of it, so that models can be
            ranked by it.
    """

    label: str
    definition: str
    compute: Callable[[Counts], Array] | None
    higher_is_better: bool = True
    tables: Container[Table] = get_args(Table)
    top: int = 0
    by_class: Callable[[Counts], Array] | None = None
    most_images: float = 1.0
    paired_test: bool = False

    def exists_for(self, classes: int) -> bool:
        """Whether the metric says anything about this number of classes."""
        return self.top < 2 or self.top < classes


def scores(counts: Counts) -> dict[str, Array]:
    """Every metric that is computed from counts, by its name."""
    return {
        name: metric.compute(counts)
        for name, metric in METRICS.items()
        if metric.compute and metric.exists_for(len(counts.support))
    }


def columns(table: Table, known: Container[str]) -> dict[str, str]:
    """Labels of the metrics that a table shows and that are known, by their names."""
    return {
        name: metric.label
        for name, metric in METRICS.items()
        if table in metric.tables and name in known
    }


def _accuracy(counts: Counts) -> Array:
    return counts.hits.sum(0) / counts.support.sum(0)


def _top(k: int) -> Callable[[Counts], Array]:
    return lambda counts: counts.ranks[:k].sum(0) / counts.ranks.sum(0)


def _recall(counts: Counts) -> Array:
    return counts.hits / counts.support.clip(min=1)


def _f1(counts: Counts) -> Array:
    return 2 * counts.hits / (counts.support + counts.predicted).clip(min=1)


def _mean_of_present(by_class: Callable[[Counts], Array]) -> Callable[[Counts], Array]:
    """Mean over the classes that have images."""

    def mean(counts: Counts) -> Array:
        present = counts.support > 0
        return (by_class(counts) * present).sum(0) / present.sum(0)

    return mean


def _mcc(counts: Counts) -> Array:
    """Correlation of true and predicted class; 0 where either is always the same."""
    total, true, predicted = counts.support.sum(0), counts.support, counts.predicted
    covariance = counts.hits.sum(0) * total - (true * predicted).sum(0)
    # Roots before the product, which whole numbers of 64 bits could not hold.
    spread = (total**2 - (true**2).sum(0)) ** 0.5
    spread = spread * (total**2 - (predicted**2).sum(0)) ** 0.5
    return covariance / (spread + (spread == 0))


METRICS: dict[str, Metric] = {
    "accuracy": Metric(
        label="accuracy",
        definition="Accuracy",
        compute=_accuracy,
        top=1,
        paired_test=True,
    ),
    "top3": Metric(
        label="top-3",
        definition="True class among the first 3",
        compute=_top(3),
        top=3,
        tables=("fit", "evaluate"),
    ),
    "top5": Metric(
        label="top-5",
        definition="True class among the first 5",
        compute=_top(5),
        top=5,
    ),
    "macro_f1": Metric(
        label="macro F1",
        definition="Macro F1 (classes with images)",
        compute=_mean_of_present(_f1),
        by_class=_f1,
        most_images=1.75,  # a mistake costs a large class little
        paired_test=True,
    ),
    "macro_f1_all": Metric(
        label="macro F1, all",
        definition="Macro F1 (every class; one never seen nor predicted counts 0)",
        compute=lambda counts: _f1(counts).sum(0) / len(counts.support),
        tables=(),
    ),
    "balanced_accuracy": Metric(
        label="balanced acc.",
        definition="Balanced accuracy (mean recall of classes with images)",
        compute=_mean_of_present(_recall),
        by_class=_recall,
        tables=("fit", "evaluate", "page"),
    ),
    "mcc": Metric(
        label="MCC",
        definition="Matthews' correlation coefficient (-1 to 1)",
        compute=_mcc,
        tables=("evaluate", "page"),
    ),
    "loss": Metric(
        label="loss",
        definition="Cross-entropy with the class weights, in nats",
        compute=None,
        higher_is_better=False,
        tables=(),
    ),
    "loss_unweighted": Metric(
        label="cross-entropy",
        definition="Cross-entropy, unweighted, in nats",
        compute=lambda counts: counts.cross_entropy / counts.support.sum(0),
        higher_is_better=False,
        tables=(),
    ),
}
