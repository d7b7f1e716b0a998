"""Which pixels each position along one axis of a feature map sees.

Every step of a network that moves over positions (a convolution, a pool, padding, a
resize, a slice) lets output position ``i`` see the input positions from ``first(i)`` to
``last(i)``, and both bounds are periodic plus a slope: a convolution has period 1, a
resize by 3/2 has period 3, adaptive pooling from ``n`` to ``m`` bins ``m / gcd(n, m)``.
The same holds for the pixels that a position sees, so a field passes through a step by
composing the two, without bounds at the edges of the image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor, gcd, inf, lcm

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]


class LayoutError(ValueError):
    """The positions cannot be followed through an operation."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Position ``i`` sees ``first[i % p] + (i // p) * step`` to the same with ``last``.

    Attributes:
        first: The lowest index that is seen, for each position of a period.
        last: The highest, which is seen as well.
        step: How far both move in a period.
    """

    first: tuple[int, ...]
    last: tuple[int, ...]
    step: int

    @property
    def period(self) -> int:
        """Number of positions after which the pattern repeats."""
        return len(self.first)

    @property
    def size(self) -> int:
        """The most that any position sees."""
        return max(b - a + 1 for a, b in zip(self.first, self.last, strict=True))

    @property
    def is_uniform(self) -> bool:
        """Whether all positions see equally many."""
        return len({b - a for a, b in zip(self.first, self.last, strict=True)}) == 1

    @property
    def stride(self) -> Fraction:
        """How far the window moves from one position to the next, on average."""
        return Fraction(self.step, self.period)

    def at(self, positions: Positions) -> tuple[Positions, Positions]:
        """Lowest and highest index that positions see."""
        turns, place = np.divmod(positions, self.period)
        moved = turns * self.step
        return np.array(self.first)[place] + moved, np.array(self.last)[place] + moved

    def through(self, step: "Windows") -> "Windows":
        """What positions see that see positions which see these.

        Args:
            step: From output positions to the input positions that have these windows.
        """
        return self if step == SAME else _composed(self, step)


SAME = Windows((0,), (0,), 1)


def sliding(kernel: int, stride: int, padding: int, dilation: int = 1) -> Windows:
    """A convolution or a pool."""
    return Windows((-padding,), (dilation * (kernel - 1) - padding,), stride)


def spreading(kernel: int, stride: int, padding: int, dilation: int = 1) -> Windows:
    """A transposed convolution.

    Raises:
        LayoutError: If the kernel leaves gaps, so that some positions see nothing.
    """
    if dilation != 1 or kernel < stride:
        raise LayoutError("a transposed convolution that leaves gaps")
    # Input j reaches the outputs from j * stride - padding on, kernel of them.
    starts = range(padding, padding + stride)
    return patterned(
        [-((kernel - 1 - start) // stride) for start in starts],
        [start // stride for start in starts],
        1,
    )


def binned(inputs: int, outputs: int) -> Windows:
    """Adaptive pooling: bin ``i`` is ``floor(i n / m)`` to ``ceil((i + 1) n / m)``."""
    first = [i * inputs // outputs for i in range(outputs)]
    last = [-(-(i + 1) * inputs // outputs) - 1 for i in range(outputs)]
    return patterned(first, last, inputs)


def resampled(scale: Fraction, reach: int, *, centred: bool = True) -> Windows:
    """A resize.

    Args:
        scale: Input positions for each output position.
        reach: Input positions that are read on either side of the source point: 0 for
            the nearest one, 1 for linear, 2 for cubic interpolation.
        centred: Whether pixels are areas with centres at one half (``align_corners`` is
            false); else output ``i`` has its source at ``i * scale``.
    """
    period, step = scale.denominator, scale.numerator
    half = Fraction(1, 2) if centred else Fraction(0)
    if reach == 0:  # torch's nearest takes the floor of i * scale
        nearest = [i * step // period for i in range(period)]
        return patterned(nearest, nearest, step)
    first, last = [], []
    for i in range(period):
        source = (i + half) * scale - half
        around = reach if source % 1 else 0  # at a position, that one alone is read
        first.append(ceil(source) - around)
        last.append(floor(source) + around)
    return patterned(first, last, step)


def patterned(
    first: Sequence[int] | Positions, last: Sequence[int] | Positions, step: int
) -> Windows:
    """Windows with as short a period as the pattern allows.

    Args:
        first: Lowest index that each position of a period sees.
        last: Highest index that each position of a period sees.
        step: How far both move in a period.
    """
    period = len(first)
    a, b = np.asarray(first), np.asarray(last)
    for short in range(1, period):
        if period % short or step * short % period:
            continue
        move = step * short // period
        if (a[short:] - a[:-short] == move).all() and (
            b[short:] - b[:-short] == move
        ).all():
            return Windows(tuple(a[:short].tolist()), tuple(b[:short].tolist()), move)
    return Windows(tuple(a.tolist()), tuple(b.tolist()), step)


@lru_cache(maxsize=4096)
def _composed(windows: Windows, step: Windows) -> Windows:
    turns = windows.period // gcd(windows.period, step.step)
    inner_first, inner_last = step.at(np.arange(step.period * turns))
    first, last = windows.at(inner_first)[0], windows.at(inner_last)[1]
    if not _rises(windows):
        for offset in range(int((inner_last - inner_first).max()) + 1):
            low, high = windows.at(np.minimum(inner_first + offset, inner_last))
            first, last = np.minimum(first, low), np.maximum(last, high)
    moved = step.step * turns * windows.step // windows.period
    return patterned(first, last, moved)


def _rises(windows: Windows) -> bool:
    first, last = windows.at(np.arange(windows.period + 1))
    return bool((np.diff(first) >= 0).all() and (np.diff(last) >= 0).all())


@lru_cache(maxsize=4096)
def joined(one: Windows, other: Windows, positions: int) -> tuple[Windows, float]:
    """The hull of two windows at each position.

    Args:
        one: Windows of one path.
        other: Windows of the other path.
        positions: How many there are; where the strides differ, what is seen beyond the
            last one is the first path's slope.

    Returns:
        What is seen over either path, and how many pixels their centres are apart at
        most: infinitely many if the windows move at different speeds.
    """
    if one == other:
        return one, 0.0
    same_stride = one.stride == other.stride
    period = lcm(one.period, other.period) if same_stride else max(positions, 1)
    (a, b), (c, d) = (w.at(np.arange(period)) for w in (one, other))
    hull = patterned(np.minimum(a, c), np.maximum(b, d), round(one.stride * period))
    offset_px = float(np.abs((a + b) - (c + d)).max()) / 2
    return hull, offset_px if same_stride else inf


def moved_around(windows: Windows, positions: int, shift: int) -> Windows:
    """A roll: position ``i`` sees what position ``i - shift`` saw, around the edge."""
    source = (np.arange(positions) - shift) % positions
    first, last = windows.at(source)
    return patterned(first, last, round(windows.stride * positions))


def in_turn(parts: Sequence[tuple[Windows, int]]) -> Windows:
    """Concatenation along the axis.

    Args:
        parts: Windows and number of positions of each.
    """
    bounds = [windows.at(np.arange(count)) for windows, count in parts]
    total = sum(count for _, count in parts)
    step = round(parts[0][0].stride * total)
    first, last = (np.concatenate(side) for side in zip(*bounds, strict=True))
    return patterned(first, last, step)
