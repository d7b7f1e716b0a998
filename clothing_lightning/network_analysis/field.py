"""What one position of a feature map sees of the image.

The terms are those of Araujo, Norris and Sim, "Computing Receptive Fields of
Convolutional Neural Networks", Distill, 2019, doi:10.23915/distill.00021.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """The window that moves over the image as one moves over a feature map.

    Position ``i`` of an axis sees the pixels from ``i * stride - padding`` to
    ``i * stride - padding + size - 1``; what lies outside of the image is padding.

    Attributes:
        size_px: Height and width of the window.
        stride_px: How far it moves from one position to the next, down and right.
        padding_px: How far the first window reaches beyond the top and the left edge;
            negative if it begins inside.
    """

    size_px: tuple[int, int]
    stride_px: tuple[int, int]
    padding_px: tuple[int, int]

    def window(self, position: tuple[int, int]) -> tuple[int, int, int, int]:
        """The pixels that a position (row, column) sees.

        Returns:
            Top, left, bottom, right; the last two are the first pixels outside.
        """
        top, left = (
            index * stride - padding
            for index, stride, padding in zip(
                position, self.stride_px, self.padding_px, strict=True
            )
        )
        return top, left, top + self.size_px[0], left + self.size_px[1]
