"""How large the images of a data set are."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from clothing_lightning.reports import style

_BINS = 40


def image_sizes_figure(images: pd.DataFrame, size_px: int) -> Figure:
    """Draw how many images have which short side, and which shape.

    Args:
        images: ``width`` and ``height`` in pixels, ``short_px``.
        size_px: Side of the images that the network is given.
    """
    if images.empty:
        return style.message_figure("No image sizes: there are no images.")
    figure = Figure(figsize=(8.4, 2.9), layout="constrained")
    sides, shapes = figure.subplots(1, 2)
    largest = max(float(images["short_px"].max()), size_px)
    smallest = min(float(images["short_px"].min()), size_px)
    bins = np.geomspace(smallest * 0.9, largest * 1.1, _BINS)
    sides.hist(images["short_px"], bins=bins.tolist(), color=style.BLUE)
    sides.set_xscale("log")
    powers = [2**power for power in range(16)]
    ticks = [size for size in powers if smallest * 0.7 <= size <= largest * 1.4]
    sides.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    sides.minorticks_off()
    label = f"the network's {size_px} px"
    sides.axvline(size_px, color=style.ORANGE, linewidth=2, label=label)
    sides.legend(frameon=False, fontsize=style.SMALL_PT)
    sides.set_xlabel("short side in pixels", size=style.LABEL_PT)
    shape = np.log2((images["width"] / images["height"]).to_numpy())
    reach = max(1.1, 1.05 * float(np.abs(shape).max()))
    shapes.hist(
        shape, bins=np.linspace(-reach, reach, _BINS).tolist(), color=style.BLUE
    )
    marks = {-2: "1 : 4", -1: "1 : 2", 0: "1 : 1", 1: "2 : 1", 2: "4 : 1"}
    marks = {place: text for place, text in marks.items() if abs(place) <= reach}
    shapes.set_xticks(list(marks), list(marks.values()))
    shapes.set_xlabel("width : height", size=style.LABEL_PT)
    for axes in (sides, shapes):
        axes.set_ylabel("images", size=style.LABEL_PT)
        axes.tick_params(labelsize=style.SMALL_PT)
        axes.spines[["top", "right"]].set_visible(False)
    return style.finished(figure)
