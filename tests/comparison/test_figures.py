from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from clothing_lightning.comparison import figures as figures
from clothing_lightning.comparison.by_class import f1_by_class
from clothing_lightning.comparison.calibrated import calibrated
from clothing_lightning.comparison.predictions import Comparison, Model
from tests.compared_models import EPOCHS, comparison

CLASSES = [f"Long-sleeved class {n}" for n in range(18)]


@pytest.fixture(scope="module")
def eight() -> Comparison:
    skills = {f"tf_efficientnet_lite{n} fine-tuned": 1 + n / 4 for n in range(8)}
    return comparison(skills, CLASSES, images=100, seeds={next(iter(skills)): 2})


def test_models_look_different() -> None:
    looks = [figures.look(number) for number in range(figures.MOST)]
    assert len({(str(x["color"]), str(x["linestyle"])) for x in looks}) == 8
    assert len({x["marker"] for x in looks}) == 8


def test_dots_are_the_f1_of_each_class(
    eight: Comparison, check_readable: Callable[[Figure], None]
) -> None:
    f1 = f1_by_class(eight, eight.models)
    figure = figures.f1_figure(f1, [5] * len(f1))
    check_readable(figure)
    axes = figure.axes[0]
    assert axes.get_yticklabels()[0].get_text() == f"{f1.index[0]} (5)"
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), f1.iloc[:, 0])


@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_each_model_has_a_panel(
    eight: Comparison, count: int, check_readable: Callable[[Figure], None]
) -> None:
    found = {m.title: calibrated(eight, m) for m in eight.models[:count]}
    figure = figures.reliability_figure(found)
    check_readable(figure)
    assert sum(bool(axes.get_title()) for axes in figure.axes) == count


def test_accuracy_on_all_images_ends_the_line(eight: Comparison) -> None:
    model = eight.models[0]
    figure = figures.coverage_figure({model.title: calibrated(eight, model)})
    line = figure.axes[0].lines[0].get_xydata()
    accuracy = np.nanmean(eight.rights(model))
    assert np.asarray(line)[-1] == pytest.approx([1, accuracy])


def test_every_run_has_a_line_and_every_model_a_name(
    eight: Comparison, check_readable: Callable[[Figure], None]
) -> None:
    figure = figures.curves_figure(eight.models)
    check_readable(figure)
    assert [len(axes.lines) for axes in figure.axes] == [9, 9]
    assert len(np.asarray(figure.axes[0].lines[0].get_xydata())) == EPOCHS
    assert len(figure.legends[0].get_texts()) == 8


def without(model: Model, column: str) -> Model:
    def changed(table: object) -> object:
        return table.drop(columns=column)  # type: ignore[attr-defined]

    repeats = tuple(
        replace(
            each,
            runs=tuple(
                replace(run, history=changed(run.history))  # type: ignore[arg-type]
                for run in each.runs
            ),
        )
        for each in model.repeats
    )
    return replace(model, repeats=repeats)


def test_what_was_not_logged_is_not_drawn(eight: Comparison) -> None:
    models = [without(model, "val/loss") for model in eight.models]
    assert len(figures.curves_figure(models).axes) == 1
    models = [without(model, "val/accuracy") for model in models]
    figure = figures.curves_figure(models)
    assert "nothing was logged by epoch" in figure.texts[0].get_text()
