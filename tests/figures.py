"""What the tests of figures and pages on networks share."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    from clothing_lightning.network_analysis.complexity import NetworkReport


@pytest.fixture(scope="session")
def analysed() -> "Callable[..., NetworkReport]":
    """Function from timm's name, and a size in pixels, to the network's report."""
    from clothing_lightning.models.backbones import create_on_meta
    from clothing_lightning.network_analysis.complexity import analyze

    @cache
    def report(name: str, *size: int) -> "NetworkReport":
        height, width = size or (224, 224)
        return analyze(
            create_on_meta(name, (height, width)), (height, width), name=name
        )

    return report


@pytest.fixture
def check_readable() -> "Callable[[Figure], None]":
    """Function that checks that the texts of a figure are inside it and apart."""

    def check(figure: "Figure") -> None:
        figure.draw_without_rendering()
        texts = [text for text in _texts(figure) if text.get_text()]
        assert texts
        boxes = [text.get_window_extent().padded(-0.5) for text in texts]
        edge = figure.bbox.padded(1)
        for index, (text, box) in enumerate(zip(texts, boxes, strict=True)):
            assert edge.x0 <= box.x0 < box.x1 <= edge.x1, text
            assert edge.y0 <= box.y0 < box.y1 <= edge.y1, text
            for other in range(index):
                assert not box.overlaps(boxes[other]), (text, texts[other])

    return check


def _texts(figure: "Figure") -> "Iterator[Text]":
    from matplotlib.text import Text

    yield from figure.texts
    for legend in figure.legends:
        yield from legend.get_texts()
    for axes in figure.axes:
        yield from axes.texts
        for found in axes.findobj(Text):
            assert isinstance(found, Text)
            if found.get_text() in (axes.get_title(), axes.get_title(loc="left")):
                yield found
        for axis in (axes.xaxis, axes.yaxis):
            yield axis.label
            yield from _tick_labels(axis)


def _tick_labels(axis: "Axis") -> "Iterator[Text]":
    """Those that are drawn: matplotlib keeps some beyond the ends of the axis."""
    low, high = sorted(axis.get_view_interval())
    places = axis.get_majorticklocs()
    for place, label in zip(places, axis.get_ticklabels(), strict=False):
        if label.get_visible() and low <= place <= high:
            yield label
