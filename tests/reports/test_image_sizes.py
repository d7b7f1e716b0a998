"""The figure of image sizes."""

from io import BytesIO

import pandas as pd
import pytest
from matplotlib.patches import Rectangle

from clothing_lightning.reports.image_sizes import image_sizes_figure


@pytest.mark.parametrize(
    ("widths", "heights"),
    [([28] * 5, [28] * 5), ([10, 4000, 800], [900, 10, 600]), ([1], [1]), ([], [])],
)
def test_any_sizes_can_be_drawn(widths: list[int], heights: list[int]) -> None:
    images = pd.DataFrame({"width": widths, "height": heights})
    images["short_px"] = images.min(axis=1)
    figure = image_sizes_figure(images, 224)
    figure.savefig(BytesIO(), format="png")
    drawn = [
        sum(bar.get_height() for bar in axes.patches if isinstance(bar, Rectangle))
        for axes in figure.axes
    ]
    assert drawn == ([len(widths)] * 2 if widths else [])
