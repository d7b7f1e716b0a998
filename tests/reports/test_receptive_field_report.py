from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from clothing_lightning.network_analysis.complexity import NetworkReport
from clothing_lightning.reports import style
from clothing_lightning.reports.receptive_field import (
    field_sentences,
    growth_figure,
    window_figure,
)

Analysed = Callable[..., NetworkReport]
LONG_NAME = "stages.12.blocks.34.convolution_with_a_long_name_of_its_own" * 3


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def outlines(figure: Figure) -> dict[str, tuple[float, float, float, float]]:
    """Left, top, width and height of what is drawn in the image, by label."""
    patches = figure.axes[0].findobj(Rectangle)
    return {
        str(patch.get_label()): (*patch.get_xy(), patch.get_width(), patch.get_height())
        for patch in patches
        if isinstance(patch, Rectangle) and patch.get_label()
    }


def as_large(report: NetworkReport) -> NetworkReport:
    """A report whose texts are as many and as long as they get."""
    layers = [replace(layer, name=layer.name + LONG_NAME) for layer in report.layers]
    seen = replace(
        report.field,
        global_from=layers[20].name,
        is_uniform=False,
        unknown_ops=[f"op in {LONG_NAME}"],
    )
    return replace(report, name=LONG_NAME, layers=layers, field=seen)


def test_window_of_the_central_position_is_drawn_in_pixels(analysed: Analysed) -> None:
    # 3 * 32 - 217 = -121 is where the window of position 3 of 7 begins.
    assert outlines(window_figure(None, analysed("resnet18"))) == {
        "window of the central position": (-121, -121, 435, 435),
        "windows at the corners": (-217, -217, 435, 435),
        "image": (0, 0, 224, 224),
    }


def test_windows_beyond_the_image_are_in_sight_and_to_scale(analysed: Analysed) -> None:
    figure = window_figure(None, analysed("resnet18", 96, 320))
    figure.draw_without_rendering()
    axes = figure.axes[0]
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    assert left < -217 < 9 * 32 - 217 + 435 < right
    assert top < -217 < 2 * 32 - 217 + 435 < bottom
    box = axes.get_window_extent()
    assert box.width / (right - left) == pytest.approx(box.height / (bottom - top))


def test_photo_lies_below_the_windows(analysed: Analysed) -> None:
    photo = np.full((64, 96, 3), 90, np.uint8)
    axes = window_figure(photo, analysed("test_resnet", 64, 96)).axes[0]
    (image,) = axes.images
    assert tuple(image.get_extent()) == (0, 96, 64, 0)
    assert all(patch.zorder > image.zorder for patch in axes.patches)


def test_photo_of_another_size_is_refused(analysed: Analysed) -> None:
    with pytest.raises(ValueError, match=r"64 x 96 px, but test_resnet .* 96 x 64 px"):
        window_figure(np.zeros((64, 96, 3), np.uint8), analysed("test_resnet", 96, 64))


def test_caption_says_what_is_seen(analysed: Analysed) -> None:
    axes = window_figure(None, analysed("resnet18")).axes[0]
    assert axes.get_title(loc="left") == "Receptive field: resnet18"
    assert axes.get_xlabel().splitlines() == [
        "Receptive field 435 x 435 px: 194 % of the side of the image (224 x 224 px).",
        "Stride 32 px, padding 217 px; the features have 7 x 7 positions.",
    ]


def test_sentences_tell_of_attention(analysed: Analysed) -> None:
    sentences = field_sentences(analysed("swin_tiny_patch4_window7_224"))
    assert sentences[2:] == [
        "From layers.3.blocks.0.attn on, every position may depend on the whole image.",
        "layers.0.blocks.0.attn mixes local windows of 7 x 7 positions (28 x 28 px), "
        "as attention does.",
    ]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("photo", [None, np.zeros((160, 160, 3), np.uint8)])
def test_unknown_field_says_so_beside_the_image(
    analysed: Analysed, photo: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]] | None"
) -> None:
    report = analysed("test_resnet", 160, 160)
    seen = replace(report.field, field=None, unknown_ops=["fft in layer2"])
    figure = window_figure(photo, replace(report, field=seen))
    assert figure.axes[0].get_xlabel().splitlines() == [
        "The receptive field is unknown.",
        "Could not be followed: fft in layer2.",
    ]
    assert set(outlines(figure)) == {"image"}


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("resnet18", (224, 224)),
        ("test_resnet", (400, 64)),
        ("swin_tiny_patch4_window7_224", (224, 224)),
    ],
)
def test_texts_are_inside_the_figures_and_apart(
    analysed: Analysed,
    check_readable: Callable[[Figure], None],
    name: str,
    size: tuple[int, int],
) -> None:
    report = as_large(analysed(name, *size))
    check_readable(window_figure(None, report))
    check_readable(growth_figure(report))


def test_growth_ends_at_the_field_of_the_features(analysed: Analysed) -> None:
    report = analysed("resnet18")
    upper, lower = growth_figure(report).axes
    each, most, image = (np.asarray(line.get_ydata()) for line in upper.lines)
    assert each[0] == 7
    assert most[-1] == each[-1] == 435
    assert list(image) == [224, 224]
    assert [label.get_text() for label in lower.get_yticklabels()] == [
        *("2", "4", "8", "16", "32")
    ]


def test_first_layer_with_each_stride_is_named(analysed: Analysed) -> None:
    lower = growth_figure(analysed("resnet18")).axes[1]
    names = [text.get_text() for text in lower.texts]
    layers = ["layer2.0.conv1", "layer3.0.conv1", "layer4.0.conv1"]
    assert names == ["conv1", "maxpool", *layers]


def test_layer_that_calls_others_stands_after_them(analysed: Analysed) -> None:
    report = analysed("resnet18")
    assert [layer.name for layer in report.layers[9:11]] == [
        "layer1.0.act2",
        "layer1.0",
    ]
    line = growth_figure(report).axes[0].lines[0]
    assert list(np.asarray(line.get_ydata())[3:7]) == [11, 19, 19, 19]


def test_layer_from_which_all_is_seen_is_marked(analysed: Analysed) -> None:
    report = analysed("efficientnet_b0")
    figure = growth_figure(report)
    marked = figure.axes[0].lines[-1]
    before = [layer.name for layer in report.layers].index("blocks.0.0.se")
    drawn = [layer for layer in report.layers[:before] if layer.field is not None]
    assert np.asarray(marked.get_xdata())[0] == pytest.approx(len(drawn), abs=1)
    assert legend(figure)[-1] == (
        "from blocks.0.0.se on, every position may depend on the whole image"
    )
    assert not any(
        "from" in text for text in legend(growth_figure(analysed("resnet18")))
    )


def test_no_layer_with_positions_says_so(analysed: Analysed, tmp_path: Path) -> None:
    report = replace(analysed("test_resnet"), layers=[])
    figure = growth_figure(report)
    assert "no layer has positions" in figure.texts[0].get_text()
    style.save(figure, tmp_path / "growth.png")
