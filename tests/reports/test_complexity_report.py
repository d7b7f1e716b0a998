from collections.abc import Callable
from dataclasses import replace

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clothing_lightning.network_analysis.complexity import NetworkReport
from clothing_lightning.network_analysis.text import number
from clothing_lightning.reports.complexity import cost_figure, layers_figure

Analysed = Callable[..., NetworkReport]
LONG_NAME = "a_network_with_a_very_long_name_patch4_window7_224.some_tag_in1k"


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def names(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].get_yticklabels()]


def widths(axes: Axes) -> list[float]:
    return [bar.get_width() for bar in axes.patches]  # type: ignore[attr-defined]


def headings(figure: Figure) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.axes]


def test_networks_are_sorted_by_macs_with_their_numbers(analysed: Analysed) -> None:
    reports = [analysed("resnet18"), analysed("efficientnet_b0")]
    figure = cost_figure(reports)
    assert names(figure) == ["efficientnet_b0", "resnet18"]
    assert headings(figure) == [
        "GMACs (batch 1, 224 x 224)",
        "parameters (millions)",
        "receptive field (px)",
    ]
    written = [texts(axes) for axes in figure.axes]
    assert written == [["0.386", "1.81"], ["5.29", "11.7"], ["851 *", "435"]]
    assert widths(figure.axes[0]) == [report.macs / 1e9 for report in reports[::-1]]
    assert "whole image" in figure.texts[-1].get_text()


def test_sizes_stand_beside_the_names_where_they_differ(analysed: Analysed) -> None:
    figure = cost_figure([analysed("test_resnet"), analysed("test_resnet", 64, 96)])
    assert names(figure) == ["test_resnet, 64 x 96", "test_resnet, 224 x 224"]
    assert headings(figure)[0] == "GMACs (batch 1, size as named)"


def test_unknown_field_says_so(analysed: Analysed) -> None:
    report = analysed("test_resnet")
    figure = cost_figure([replace(report, field=replace(report.field, field=None))])
    assert texts(figure.axes[2]) == ["unknown"]


def test_no_network_says_so() -> None:
    assert "no networks" in cost_figure([]).texts[0].get_text()


def test_stages_hold_all_layers(analysed: Analysed) -> None:
    report = analysed("resnet18")
    figure = layers_figure(report)
    stages = [f"layer{number}" for number in range(1, 5)]
    others = ["conv1", "bn1", "act1", "maxpool"]
    assert names(figure) == [*others, *stages, "global_pool", "fc"]
    sums = [sum(widths(axes)) for axes in figure.axes]
    outputs = sum(layer.activation_bytes for layer in report.layers)
    assert sums == pytest.approx(
        [report.macs / 1e6, report.params / 1e6, outputs / 1e6]
    )
    assert texts(figure.axes[0])[4] == "462 (25 %)"
    assert "at most 6.42 MB" in figure.texts[-1].get_text()


def test_stage_with_most_of_the_macs_is_divided(analysed: Analysed) -> None:
    rows = names(layers_figure(analysed("efficientnet_b0")))
    assert [f"blocks.{stage}" for stage in range(7)] == rows[2:9]


def test_network_without_stages_shows_its_costliest_layers(analysed: Analysed) -> None:
    report = analysed("resnet18")
    layers = [
        replace(layer, name=f"layer_{at}") for at, layer in enumerate(report.layers)
    ]
    figure = layers_figure(replace(report, layers=layers))
    assert figure.texts[0].get_text() == "The 20 costliest of 68 layers: resnet18"
    macs = widths(figure.axes[0])
    assert len(macs) == 20
    assert macs == sorted(macs, reverse=True)
    assert macs[0] == max(layer.macs for layer in layers) / 1e6


def test_no_layers_say_so(analysed: Analysed) -> None:
    figure = layers_figure(replace(analysed("test_resnet"), layers=[]))
    assert "no layers" in figure.texts[0].get_text()


@pytest.mark.parametrize("count", [1, 2, 20])
def test_texts_of_many_networks_are_apart(
    analysed: Analysed, check_readable: Callable[[Figure], None], count: int
) -> None:
    report = analysed("resnet18")
    check_readable(
        cost_figure(
            [replace(report, name=LONG_NAME * (n % 2 + 1)) for n in range(count)]
        )
    )


def test_texts_of_stages_and_layers_are_apart(
    analysed: Analysed, check_readable: Callable[[Figure], None]
) -> None:
    report = analysed("efficientnet_b0")
    layers = [
        replace(layer, name=f"{layer.name}{LONG_NAME}") for layer in report.layers
    ]
    for each in (report, replace(report, name=LONG_NAME, layers=layers)):
        check_readable(layers_figure(each))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0, "0"), (0.0001, "<0.001"), (0.0125, "0.013"), (1.234, "1.23")),
        *((12.34, "12.3"), (1234.5, "1,234")),
    ],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text
