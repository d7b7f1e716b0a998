from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from clothing_lightning.reports.explanation import explanation_figure


def figure_of(heat: NDArray[np.float64]) -> Figure:
    photo = np.full((224, 224, 3), 200, np.uint8)
    return explanation_figure(
        photo,
        heat.astype(np.float32),
        title="images/a-name-that-goes-on-and-on/" + "x" * 90 + ".jpg",
        prediction="Longsleeve with a $hood$ and pockets",
        probability=0.987,
    )


def test_texts_are_readable_and_apart(
    check_readable: Callable[[Figure], None],
) -> None:
    check_readable(figure_of(np.eye(7)))


def test_heat_covers_its_place_and_no_other() -> None:
    heat = np.zeros((7, 7))
    heat[0, 6] = 1
    overlay = np.asarray(figure_of(heat).axes[1].images[0].get_array())
    corner, elsewhere = overlay[4, -4], overlay[-4, 4]
    assert overlay.shape == (224, 224, 3)
    assert corner[0] > corner[2] + 50  # the yellow end of the colours
    assert np.ptp(elsewhere.astype(int)) < 30  # nearly the grey of the photo


def test_no_heat_is_said() -> None:
    figure = figure_of(np.zeros((7, 7)))
    assert figure.axes[1].get_title(loc="left") == "no place speaks for it alone"
