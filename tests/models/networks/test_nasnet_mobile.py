"""Against the published PyTorch network: names, shapes, parameters, cost, output."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from clothing_lightning.errors import WeightsError
from clothing_lightning.models.backbones import create_backbone, create_on_meta
from clothing_lightning.network_analysis.complexity import analyze

Shapes = Iterator[tuple[str, tuple[int, ...]]]

# Cells of Cadene's NASNetAMobile: channels of the output before last, of the last, own.
CELLS = {
    "cell_0": (44, 88, 44),
    "cell_1": (88, 264, 44),
    "cell_2": (264, 264, 44),
    "cell_3": (264, 264, 44),
    "reduction_cell_0": (264, 264, 88),
    "cell_6": (264, 352, 88),
    "cell_7": (352, 528, 88),
    "cell_8": (528, 528, 88),
    "cell_9": (528, 528, 88),
    "reduction_cell_1": (528, 528, 176),
    "cell_12": (528, 704, 176),
    "cell_13": (704, 1056, 176),
    "cell_14": (1056, 1056, 176),
    "cell_15": (1056, 1056, 176),
}
STRIDED = {"0_left": 5, "0_right": 7, "1_right": 7, "2_right": 5, "4_left": 3}
PLAIN = {"0_left": 5, "0_right": 3, "1_left": 5, "1_right": 3, "4_left": 3}


def published_shapes(classes: int) -> Shapes:
    """Parameters and statistics of Cadene's network, in no order."""
    yield "conv0.conv.weight", (32, 3, 3, 3)
    yield from norm("conv0.bn", 32)
    yield from pointwise("cell_stem_0.conv_1x1", 32, 11)
    for name, kernel in STRIDED.items():
        inputs = 32 if name.endswith("right") else 11
        yield from branch(f"cell_stem_0.comb_iter_{name}", inputs, 11, kernel)
    yield from pointwise("cell_stem_1.conv_1x1", 44, 22)
    yield from halves("cell_stem_1", 32, 11)
    yield from branches("cell_stem_1", 22, STRIDED)
    for name, (before, last, own) in CELLS.items():
        yield from pointwise(f"{name}.conv_1x1", last, own)
        if name in ("cell_0", "cell_6", "cell_12"):
            yield from halves(name, before, own // 2)
        else:
            yield from pointwise(f"{name}.conv_prev_1x1", before, own)
        yield from branches(name, own, STRIDED if "reduction" in name else PLAIN)
    yield "last_linear.weight", (classes, 1056)
    yield "last_linear.bias", (classes,)


def norm(name: str, channels: int) -> Shapes:
    for value in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.{value}", (channels,)


def pointwise(name: str, inputs: int, outputs: int) -> Shapes:
    yield f"{name}.conv.weight", (outputs, inputs, 1, 1)
    yield from norm(f"{name}.bn", outputs)


def halves(name: str, inputs: int, outputs: int) -> Shapes:
    for path in ("path_1", "path_2"):
        yield f"{name}.{path}.conv.weight", (outputs, inputs, 1, 1)
    yield from norm(f"{name}.final_path_bn", 2 * outputs)


def branches(name: str, channels: int, kernels: dict[str, int]) -> Shapes:
    for place, kernel in kernels.items():
        yield from branch(f"{name}.comb_iter_{place}", channels, channels, kernel)


def branch(name: str, inputs: int, outputs: int, kernel: int) -> Shapes:
    for number, channels in ((1, inputs), (2, outputs)):
        separable = f"{name}.separable_{number}"
        yield f"{separable}.depthwise_conv2d.weight", (channels, 1, kernel, kernel)
        yield f"{separable}.pointwise_conv2d.weight", (outputs, channels, 1, 1)
        yield from norm(f"{name}.bn_sep_{number}", outputs)


def wave(shape: tuple[int, ...], seed: float) -> Tensor:
    """Numbers from -1 to 1 that are the same everywhere."""
    places = torch.arange(math.prod(shape), dtype=torch.float64)
    return (12.9898 * (places + 1) + seed).sin().float().reshape(shape)


def published_state(classes: int = 1000) -> dict[str, Tensor]:
    """A state as the published one, with numbers of ours."""
    state = {}
    for name, shape in published_shapes(classes):
        made = wave(shape, len(name))
        if len(shape) > 1:
            state[name] = made * math.sqrt(4 / math.prod(shape[1:]))
        else:
            offset = name.endswith(("running_var", "bn.weight", "1.weight", "2.weight"))
            state[name] = made / 10 + offset
    return state


@pytest.fixture
def published(tmp_path: Path) -> Path:
    file = tmp_path / "nasnetamobile.pth"
    torch.save(published_state(), file)
    return file


def test_names_and_shapes_are_the_published_ones() -> None:
    state = create_on_meta("nasnet_mobile", (224, 224)).state_dict()
    own = {k: tuple(v.shape) for k, v in state.items() if "num_batches" not in k}
    assert own == dict(published_shapes(1000))


def test_output_is_that_of_the_published_network(published: Path) -> None:
    # The numbers are what Cadene's code (pretrainedmodels 0.7.4) gives for this state
    # and image. Other borders in the average pools change them by more than is allowed.
    network = create_backbone("nasnet_mobile", str(published), 1000).eval()
    with torch.inference_mode():
        features = network.forward_features(wave((1, 3, 224, 224), 0))  # type: ignore[operator]
    pooled = features.mean((2, 3))[0]
    expected = [1.461948, 0.111877, 0.091322, 1.301383, 2.932013, 0.101000]
    torch.testing.assert_close(
        pooled[::176], torch.tensor(expected), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("classes", [1001, 5])
def test_head_of_the_file_may_have_any_number_of_classes(
    classes: int, tmp_path: Path
) -> None:
    file = tmp_path / "weights.pth"
    state = published_state(classes)
    torch.save({"state_dict": state}, file)
    network = create_backbone("nasnet_mobile", str(file), 7)
    loaded = network.state_dict()
    assert loaded["last_linear.weight"].shape == (7, 1056)
    assert all(loaded[k].equal(v) for k, v in state.items() if "last_linear" not in k)


def test_weights_of_another_network_do_not_fit(published: Path) -> None:
    state = torch.load(published)
    state["cell_4.conv_1x1.conv.weight"] = torch.ones(1)  # the large one has it
    torch.save(state, published)
    with pytest.raises(WeightsError, match=r"cell_4\.conv_1x1\.conv\.weight is left"):
        create_backbone("nasnet_mobile", str(published), 7)


def test_cost_is_the_published_one() -> None:
    report = analyze(create_on_meta("nasnet_mobile", (224, 224)), (224, 224), name="n")
    assert (report.params, report.macs) == (5_289_978, 563_638_816)
    assert report.field.field is not None
    assert report.field.field.stride_px == (32, 32)
    assert not report.field.unknown_ops


@pytest.mark.parametrize("size", [(64, 64), (97, 130)])
def test_any_image_size_is_taken(size: tuple[int, int]) -> None:
    network = create_backbone("nasnet_mobile", "none", 3, image_size=size).eval()
    assert network(torch.randn(2, 3, *size)).shape == (2, 3)


def test_maps_of_each_size_can_be_had() -> None:
    network: Any = timm.create_model("nasnet_mobile", features_only=True).eval()
    maps = network(torch.randn(1, 3, 64, 64))
    assert [each.shape[1] for each in maps] == network.feature_info.channels()
    assert [each.shape[-1] for each in maps] == [31, 16, 8, 4, 2]


def test_head_can_be_changed() -> None:
    network: Any = timm.create_model("nasnet_mobile", num_classes=0).eval()
    images = torch.randn(1, 3, 64, 64)
    assert network(images).shape == (1, 1056)
    network.reset_classifier(4, "catavgmax")
    assert network(images).shape == (1, 4)
    assert isinstance(network.get_classifier(), nn.Linear)
    assert network.head_hidden_size == 2112
