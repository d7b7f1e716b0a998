import pytest
import timm
import torch
from torch import nn

from clothing_lightning.errors import ConfigError
from clothing_lightning.network_analysis.advice import advice
from clothing_lightning.network_analysis.complexity import NetworkReport, analyze
from clothing_lightning.network_analysis.variants import appended

APPEND = "maxpool2d(kernel_size=2,stride=2) conv2d(kernel_size=3)"


def mobilenet(**options: object) -> NetworkReport:
    with torch.device("meta"):
        network = timm.create_model("mobilenetv2_100").eval()
    return analyze(network, (224, 224), name="mobilenetv2_100", **options)  # type: ignore[arg-type]


def side(report: NetworkReport) -> int:
    assert report.field.field is not None
    assert report.field.field.size_px[0] == report.field.field.size_px[1]
    return report.field.field.size_px[0]


def test_published_answers_of_a_mobilenet() -> None:
    whole, longer = mobilenet(), mobilenet(append=appended(APPEND))
    shorter = mobilenet(until="blocks.4.0")
    assert (side(whole), side(longer), side(shorter)) == (491, 651, 203)
    assert shorter.macs < whole.macs < longer.macs
    assert longer.layers[-1].name == "append.1"
    assert longer.features_shape == (1, 1280, 1, 1)


def test_layers_follow_a_truncated_network() -> None:
    report = mobilenet(until="blocks.4.0", append=appended("conv2d(kernel_size=3)"))
    assert side(report) == 203 + 2 * 16


def test_layers_take_the_channels_that_come() -> None:
    words = "conv2d(kernel_size=(3,5),out_channels=7), avgpool2d(kernel_size=2)"
    layers = appended(words)(torch.empty(1, 4, 9, 9))
    assert isinstance(layers, nn.Sequential)
    assert isinstance(layers[0], nn.Conv2d)
    assert (layers[0].in_channels, layers[0].out_channels) == (4, 7)
    assert layers(torch.zeros(1, 4, 9, 9)).shape == (1, 7, 3, 2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "cannot be read"),
        ("conv2d(", "cannot be read"),
        ("conv2d", "cannot be read"),
        ("conv3d(kernel_size=3)", "'conv3d' is not a layer .* conv2d, maxpool2d"),
        ("__import__('os').system('true')", "is not a layer"),
        ("conv2d(kernel_size=open('x'))", "cannot be read"),
        ("conv2d(3)", "does not take. By name, it takes dilation"),
        ("conv2d(kernel=3)", "does not take"),
        ("maxpool2d(stride=2)", "needs kernel_size"),
        ("conv2d(kernel_size=0)", "kernel_size of conv2d is 0. .* at least 1"),
        ("conv2d(kernel_size='3')", "kernel_size of conv2d is '3'"),
    ],
)
def test_what_cannot_be_appended_is_told(words: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        appended(words)


def test_tokens_have_no_place_for_a_convolution() -> None:
    with pytest.raises(ConfigError, match=r"the features have the shape \[1, 5, 8\]"):
        appended(APPEND)(torch.empty(1, 5, 8))


def test_advice_says_how_to_enlarge_and_to_shrink() -> None:
    text = " ".join(advice(mobilenet()).split())
    assert "sees 491 x 491 px, 2.2 times the image's side" in text
    assert "+64 px, with dilation 2: +128 px" in text
    assert "--truncate blocks.5.0.bn1" in text
    assert "at 448 px it would span 1.1 times" in text
