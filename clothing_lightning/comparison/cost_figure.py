"""Cost against quality as a figure: names beside their points, and none on another."""

import math
from collections.abc import Sequence
from itertools import pairwise, product
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from clothing_lightning.comparison.costs import COSTS, cost_text
from clothing_lightning.comparison.figures import plain
from clothing_lightning.comparison.ranking import Score
from clothing_lightning.metrics.registry import METRICS
from clothing_lightning.reports import style

NAMED = 30
"""Models that the figure names; others tell their name when pointed at."""

_NAME_COLUMNS = 30
_WIDE = 8.0  # costs of which the dearest is this many times the cheapest

Box = NDArray[np.float64]
"""Left, lower, right and upper end, in points."""


def cost_figure(
    titles: Sequence[str],
    costs: Sequence[float],
    scores: Sequence[Score],
    front: Sequence[int],
    *,
    cost: str,
    score: str,
) -> Figure:
    """Draw a score over a cost, with 95 % intervals, names, and the Pareto front.

    Args:
        titles: Titles of the models, the best first.
        costs: Their costs in the same order; NaN where not known.
        scores: Their scores in the same order.
        front: Places of the models in the Pareto front, from cheap to dear.
        cost: Which cost, as in `costs.COSTS`.
        score: Which score, as in `registry.METRICS`.
    """
    figure = Figure(figsize=(8.2, 4.8), dpi=72)  # a pixel is a point
    axes = figure.add_axes((0.09, 0.12, 0.88, 0.85))
    plain(axes)
    known = [place for place, value in enumerate(costs) if not math.isnan(value)]
    beaten = [place for place in known if place not in front]
    _draw_points(axes, beaten, costs, scores, in_front=False)
    _draw_points(axes, front, costs, scores, in_front=True)
    steps = [(costs[place], scores[place].value) for place in front]
    axes.plot(*zip(*steps, strict=True), color=style.BLUE, linewidth=1.1, zorder=1)
    _cost_axis(axes, [costs[place] for place in known], cost)
    _score_axis(axes, [scores[place] for place in known], score)
    dots = [_around(axes, costs[n], scores[n].value) for n in known]
    lines = [_span(axes, costs[n], scores[n]) for n in known]
    taken = dots + _along(axes, steps)
    for n in [*sorted(front), *beaten][:NAMED]:
        places = _places(axes, titles[n], (costs[n], scores[n].value))
        box = _free(axes, places, taken + lines)
        if box is None and n in front:
            box = _free(axes, places, taken)  # in a crowd, names may cross intervals
        if box is not None:
            taken.append(box)
            _write_name(axes, titles[n], (costs[n], scores[n].value), box)
    return style.finished(figure)


def _draw_points(
    axes: Axes,
    places: Sequence[int],
    costs: Sequence[float],
    scores: Sequence[Score],
    *,
    in_front: bool,
) -> None:
    """Draw models, each with a ``gid`` by which the page tells its name."""
    colour = style.BLUE if in_front else style.MUTED
    axes.vlines(
        [costs[n] for n in places],
        [scores[n].low for n in places],
        [scores[n].high for n in places],
        color=colour,
        linewidth=0.9,
        alpha=0.55,
    )
    marks: dict[str, Any] = {"color": colour, "zorder": 3}
    marks |= {"markersize": 6.5} if in_front else {"markerfacecolor": "none"}
    for n in places:
        axes.plot(costs[n], scores[n].value, "o", gid=f"model-{n}", **marks)


def _cost_axis(axes: Axes, costs: Sequence[float], cost: str) -> None:
    axes.set_xlabel(COSTS[cost].label, size=style.AXIS_PT)
    low, high = min(costs), max(costs)
    if low > 0:
        axes.set_xscale("log")
        margin = max(high / low, 2.0) ** 0.12
        axes.set_xlim(low / margin, high * margin)
        wide = high / low > _WIDE
        axes.xaxis.set_major_locator(
            LogLocator(subs=(1, 2, 5)) if wide else MaxNLocator(6)
        )
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: cost_text(cost, value))
    )


def _score_axis(axes: Axes, scores: Sequence[Score], score: str) -> None:
    """Leave room above the best, where most names go."""
    axes.set_ylabel(f"{METRICS[score].label}, 95 % interval", size=style.AXIS_PT)
    low, high = min(s.low for s in scores), max(s.high for s in scores)
    room = max(high - low, 0.01)
    axes.set_ylim(low - 0.04 * room, high + 0.14 * room)


def _free(axes: Axes, places: Sequence[Box], taken: Sequence[Box]) -> Box | None:
    """The first place that is within the axes and on nothing else."""
    frame, others = axes.get_window_extent().extents, np.array(taken)
    for box in places:
        inside = (frame[:2] < box[:2]) & (box[2:] < frame[2:])
        overlaps = (box[:2] < others[:, 2:]) & (others[:, :2] < box[2:])
        if inside.all() and not overlaps.all(axis=1).any():
            return box
    return None


def _around(axes: Axes, cost: float, value: float) -> Box:
    x, y = axes.transData.transform((cost, value))
    return np.array((x - 4, y - 4, x + 4, y + 4))


def _span(axes: Axes, cost: float, score: Score) -> Box:
    """What the interval of a model takes up."""
    x, low = axes.transData.transform((cost, score.low))
    _, high = axes.transData.transform((cost, score.high))
    return np.array((x - 1, low, x + 1, high))


def _along(axes: Axes, steps: Sequence[tuple[float, float]]) -> list[Box]:
    """What the line of the front takes up, as boxes close to each other."""
    points = axes.transData.transform(steps)
    parts = np.linspace(0, 1, 40)
    return [
        np.array((x - 1, y - 1, x + 1, y + 1))
        for (x0, y0), (x1, y1) in pairwise(points)
        for x, y in zip(x0 + (x1 - x0) * parts, y0 + (y1 - y0) * parts, strict=True)
    ]


def _places(axes: Axes, title: str, point: tuple[float, float]) -> list[Box]:
    """Where a name may stand, the nearest to its point first."""
    x, y = axes.transData.transform(point)
    width = 72 * style.text_width_in(_short(title), style.LABEL_PT)
    half = 0.7 * style.LABEL_PT
    return [
        np.array((x + left, y + up - half, x + left + width, y + up + half))
        for up, left in product(
            (0, *_either(6, 12, 20, 30, 42, 56)), (6.0, -6.0 - width)
        )
    ]


def _either(*distances: float) -> tuple[float, ...]:
    return tuple(sign * distance for distance in distances for sign in (1, -1))


def _write_name(axes: Axes, title: str, point: tuple[float, float], box: Box) -> None:
    """Write a name into its box, with a line to its point if that is far off."""
    to_data = axes.transData.inverted()
    x, y = axes.transData.transform(point)
    side = "left" if box[0] > x else "right"
    corner = (box[0] if side == "left" else box[2], (box[1] + box[3]) / 2)
    at = to_data.transform(corner)
    if abs(corner[1] - y) > 8:
        ends = np.array([point, at])
        axes.plot(*ends.T, color=style.MUTED, linewidth=0.6, zorder=1)
    axes.text(
        at[0],
        at[1],
        _short(title),
        ha=side,
        va="center_baseline",
        size=style.LABEL_PT,
        color=style.INK,
    )


def _short(title: str) -> str:
    return style.shortened(title, _NAME_COLUMNS)
