from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from clothing_lightning.network_analysis.effective_field import EffectiveField
from clothing_lightning.reports import style
from clothing_lightning.reports.effective_field import effective_field_figure


def blob(sigma: float, height: int = 40, width: int = 60) -> EffectiveField:
    """Heat that falls off from the centre."""
    y, x = np.ogrid[:height, :width]
    heat = np.exp(-((y - height / 2) ** 2 + (x - width / 2) ** 2) / (2 * sigma**2))
    return EffectiveField(heat / heat.sum(), images=3, position=(1, 1), grid=(2, 3))


@pytest.fixture
def fields() -> dict[str, EffectiveField]:
    return {"at the start": blob(4), "trained": blob(9)}


def window_line(figure: Figure, panel: int = 0) -> Line2D:
    (line,) = figure.axes[panel].lines
    return line


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_every_field_has_a_panel_with_its_numbers(
    fields: dict[str, EffectiveField],
) -> None:
    figure = effective_field_figure(fields, None)
    titles = [axes.get_title(loc="left") for axes in figure.axes[:2]]
    assert titles == ["at the start", "trained"]
    for axes, field in zip(figure.axes[:2], fields.values(), strict=True):
        caption = axes.get_xlabel()
        assert f"95 % of the influence: {100 * field.area_share:.0f} % of" in caption
        assert f"{field.side_px:.0f} x {field.side_px:.0f} px" in caption
        assert not axes.lines
    assert [text.get_text() for text in figure.texts] == ["Effective receptive field"]
    assert legend(figure) == ["95 % of the influence", "50 % of the influence"]


def test_panels_share_one_colour_scale_from_zero(
    fields: dict[str, EffectiveField],
) -> None:
    figure = effective_field_figure(fields, None)
    limits = {axes.images[0].get_clim() for axes in figure.axes[:2]}
    highest = max(float(axes.images[0].get_array().max()) for axes in figure.axes[:2])  # type: ignore[union-attr]
    assert limits == {(0, highest)}
    assert "mean of the image: 1" in figure.axes[2].get_ylabel()


def test_smoothing_keeps_the_amount_and_the_place(
    fields: dict[str, EffectiveField],
) -> None:
    shown = effective_field_figure(fields, None).axes[0].images[0].get_array()
    assert shown is not None
    assert shown.mean() == pytest.approx(1)
    assert shown.argmax() == 20 * shown.shape[1] + 30


def test_contours_enclose_what_they_hold() -> None:
    sigma = 6.0
    figure = effective_field_figure({"trained": blob(sigma)}, None)
    outer, inner = (
        contours.get_paths()[0].get_extents().width
        for contours in figure.axes[0].collections
    )
    # Of a normal distribution, half lies within 1.18 and 95 % within 2.45 sigmas.
    assert outer == pytest.approx(2 * 2.45 * sigma, rel=0.1)
    assert inner == pytest.approx(2 * 1.18 * sigma, rel=0.1)


def test_window_is_drawn_around_its_pixels(fields: dict[str, EffectiveField]) -> None:
    figure = effective_field_figure(fields, (10, 20, 30, 50))
    line = window_line(figure, panel=1)
    assert set(np.asarray(line.get_ydata()).tolist()) == {9.5, 29.5}
    assert set(np.asarray(line.get_xdata()).tolist()) == {19.5, 49.5}
    assert legend(figure)[-1] == "theoretical window, 20 x 30 px"


def test_window_beyond_the_image_is_cut_off_and_said_so(
    fields: dict[str, EffectiveField],
) -> None:
    figure = effective_field_figure(fields, (-100, 5, 200, 80))
    line = window_line(figure)
    assert set(np.asarray(line.get_ydata()).tolist()) == {-0.5, 39.5}
    assert set(np.asarray(line.get_xdata()).tolist()) == {4.5, 59.5}
    assert legend(figure)[-1].endswith(", 300 x 75 px: partly beyond the image")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("panels", [1, 2, 5])
def test_nothing_is_cut_off(panels: int, tmp_path: Path) -> None:
    names = [
        f"tf_efficientnet_lite0, epoch {n} of many {{$x_1$}}" for n in range(panels)
    ]
    fields = {name: blob(5) for name in names}
    figure = effective_field_figure(fields, (-1000, -1000, 1500, 1500))
    style.save(figure, tmp_path / "field.png")
    boxes = [
        *(axes.get_tightbbox() for axes in figure.axes),
        *(entry.get_window_extent() for entry in figure.legends[0].get_texts()),
        *(entry.get_window_extent() for entry in figure.texts),
    ]
    for box in boxes:
        assert box is not None
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
    captions = [axes.xaxis.label.get_window_extent() for axes in figure.axes[:panels]]
    for left, right in pairwise(captions):
        assert left.x1 < right.x0


def test_no_field_gives_a_sentence() -> None:
    figure = effective_field_figure({}, None)
    assert "none was measured" in figure.texts[0].get_text()
