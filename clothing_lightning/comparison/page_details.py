"""Second half of a comparison's page: classes, slices, calibration and so on.

Figures have room for the best eight models.
"""

from collections.abc import Mapping
from typing import Any

from clothing_lightning.comparison import figures as figures
from clothing_lightning.comparison import tables
from clothing_lightning.comparison.by_class import f1_by_class
from clothing_lightning.comparison.calibrated import calibrated
from clothing_lightning.comparison.hyperparameters import differences
from clothing_lightning.comparison.predictions import Comparison
from clothing_lightning.comparison.ranking import Ranking
from clothing_lightning.comparison.slices import slices
from clothing_lightning.reports.inline_svg import inline_svg


def details(compared: Comparison, ranking: Ranking) -> dict[str, Any]:
    """Gather what the page's template shows below the comparison of two models."""
    models = [ranked.model for ranked in ranking.models]
    best = models[: figures.MOST]
    hyperparameters = {model.title: model.runs[0].hyperparameters for model in models}
    return {
        "drawn": figures.MOST,
        "classes": _classes(compared, ranking),
        "slices": _slices(compared, ranking),
        "calibration": _calibration(compared, ranking),
        "curves": inline_svg(
            figures.curves_figure(best),
            "curves-figure",
            "Learning curves of the models",
        ),
        "has_repeats": any(len(model.runs) > 1 for model in best),
        "settings": tables.differences_table(differences(hyperparameters)),
    }


def _classes(compared: Comparison, ranking: Ranking) -> Mapping[str, Any]:
    """F1 by class, the easiest class first."""
    f1 = f1_by_class(compared, [ranked.model for ranked in ranking.models])
    images = compared.images["label"].value_counts()
    counts = [int(images[name]) for name in f1.index]
    drawn = figures.f1_figure(f1.iloc[:, : figures.MOST], counts)
    return {
        "figure": inline_svg(drawn, "f1-figure", "F1 of each class and model"),
        "table": tables.classes_table(f1, counts),
    }


def _slices(compared: Comparison, ranking: Ranking) -> Mapping[str, Any]:
    """Accuracy by what else is known of the images: a table for each column."""
    titles = [model.title for model in compared.models]
    order = [titles.index(ranked.model.title) for ranked in ranking.models]
    return {
        part.by: tables.slices_table(titles, order, part) for part in slices(compared)
    }


def _calibration(compared: Comparison, ranking: Ranking) -> Mapping[str, Any]:
    """Confidence against accuracy, and what leaving out unsure images brings."""
    best = [ranked.model for ranked in ranking.models[: figures.MOST]]
    models = {model.title: calibrated(compared, model) for model in best}
    return {
        "table": tables.calibration_table(models),
        "reliability": inline_svg(
            figures.reliability_figure(models),
            "reliability-figure",
            "Accuracy over confidence",
        ),
        "coverage": inline_svg(
            figures.coverage_figure(models),
            "coverage-figure",
            "Accuracy on the most confident images",
        ),
    }
