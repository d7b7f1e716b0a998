"""Second half of a comparison's page: classes, slices, calibration and so on.

Each function gives HTML; figures have room for the best eight models.
"""

from html import escape

import numpy as np

from clothing_lightning.comparison import figures as figures
from clothing_lightning.comparison import tables as tables
from clothing_lightning.comparison.by_class import f1_by_class
from clothing_lightning.comparison.calibrated import Calibrated, calibrated
from clothing_lightning.comparison.hyperparameters import differences
from clothing_lightning.comparison.predictions import Comparison
from clothing_lightning.comparison.ranking import Ranking
from clothing_lightning.comparison.slices import slices
from clothing_lightning.reports.inline_svg import inline_svg


def classes_section(compared: Comparison, ranking: Ranking) -> str:
    """F1 by class, the easiest class first."""
    models = [ranked.model for ranked in ranking.models]
    f1 = f1_by_class(compared, models)
    images = compared.images["label"].value_counts()
    counts = [int(images[name]) for name in f1.index]
    shown = f1.iloc[:, : figures.MOST]
    svg = inline_svg(
        figures.f1_figure(shown, counts), "f1-figure", "F1 of each class and model"
    )
    return (
        f"<p>F1 of each class, mean over repeats{_best_only(len(models))}; in brackets "
        f"its test images. Few images decide little.</p>{svg}"
        "<details><summary>As a table, with all models</summary>"
        '<div class="tools" hidden><input type="search" data-for="classes" '
        'placeholder="search classes" aria-label="search classes">'
        '<span class="count small" role="status"></span></div>'
        f"{tables.classes_table(f1, counts)}</details>"
    )


def slices_section(compared: Comparison, ranking: Ranking) -> str:
    """Accuracy by what else is known of the images; empty if that is nothing."""
    found = slices(compared)
    if not found:
        return ""
    titles = [model.title for model in compared.models]
    order = [titles.index(ranked.model.title) for ranked in ranking.models]
    return (
        "<p>Accuracy in parts of the test images, with 95 % intervals. Other: values "
        "of fewer than 10 images, and those that are not known.</p>"
        + "".join(
            f"<h3>{escape(part.by)}</h3>{tables.slices_table(titles, order, part)}"
            for part in found
        )
    )


def calibration_section(compared: Comparison, ranking: Ranking) -> str:
    """Confidence against accuracy, and what leaving out unsure images brings."""
    models = [s.model for s in ranking.models[: figures.MOST]]
    found = {model.title: calibrated(compared, model) for model in models}
    rows = [_calibration_row(title, each) for title, each in found.items()]
    headings = ["model", "ECE", "ECE after temperature", "temperature"]
    headings += [
        tables.Html(f"accuracy<small>surest {share} %</small>")
        for share in (50, 80, 90)
    ]
    table = tables.table(headings, rows, caption="Calibration", kind="calibration")
    reliability, coverage = (
        inline_svg(drawn, key, alt)
        for drawn, key, alt in (
            (
                figures.reliability_figure(found),
                "reliability-figure",
                "Accuracy over confidence",
            ),
            (
                figures.coverage_figure(found),
                "coverage-figure",
                "Accuracy on the most confident images",
            ),
        )
    )
    return (
        "<p>Can the confidence be believed"
        f"{_best_only(len(ranking.models))}? ECE is the mean distance of "
        "confidence and accuracy in 15 bins; the temperature is fitted on the "
        f"validation images of each run and never on test images.</p>{table}"
        "<h3>Accuracy over confidence</h3><p class=small>On the dotted line confidence "
        "is accuracy; below it the model is too sure of itself. Bars: share of the "
        f"images.</p>{reliability}<h3>Accuracy where unsure images are left to people"
        f"</h3>{coverage}"
    )


def _calibration_row(title: str, found: Calibrated) -> list[str]:
    row = [title, tables.cell(f"{found.error:.3f}", found.error)]
    if found.temperatures:
        temperature = float(np.mean(found.temperatures))
        row += [
            tables.cell(f"{found.error_after:.3f}", found.error_after),
            tables.cell(f"{temperature:.2f}", temperature),
        ]
    else:
        row += [tables.DASH, tables.DASH]
    for share in (0.5, 0.8, 0.9):
        least = found.coverage[found.coverage["coverage"] >= share].iloc[0]
        row.append(tables.cell(f"{least['accuracy']:.3f}", float(least["accuracy"])))
    return row


def curves_section(ranking: Ranking) -> str:
    """Learning curves over each other."""
    models = [s.model for s in ranking.models[: figures.MOST]]
    svg = inline_svg(
        figures.curves_figure(models), "curves-figure", "Learning curves of the models"
    )
    limit = _best_only(len(ranking.models)).removeprefix(", ")
    repeated = any(len(model.runs) > 1 for model in models)
    notes = [limit, "a thin line for each run" if repeated else ""]
    note = "; ".join(filter(None, notes))
    return (f"<p>{note[0].upper()}{note[1:]}.</p>" if note else "") + svg


def settings_section(ranking: Ranking) -> str:
    """What differs between the settings of the models, and only that."""
    models = [ranked.model for ranked in ranking.models]
    differing = differences({m.title: m.runs[0].hyperparameters for m in models})
    if differing.empty:
        return "<p>No setting differs.</p>"
    return tables.differences_table(differing)


def _best_only(count: int) -> str:
    return f", of the best {figures.MOST} models" if count > figures.MOST else ""
