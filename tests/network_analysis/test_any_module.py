"""`analyze` of networks that nobody has prepared for it."""

import copy
import re
import tracemalloc
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from clothing_lightning.errors import ConfigError
from clothing_lightning.network_analysis import NetworkReport, analyze
from clothing_lightning.network_analysis.receptive_field import ReceptiveField
from clothing_lightning.network_analysis.variants import appended


def field(report: NetworkReport) -> ReceptiveField:
    assert report.field.field is not None
    return report.field.field


def small_cnn() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(16, 5),
    )


def test_a_sequence_of_layers() -> None:
    report = analyze(small_cnn(), image_size=32)
    assert report.title == "Sequential at 32 x 32"
    assert field(report) == ReceptiveField((13, 13), (4, 4), (5, 5))
    assert report.field.grid == (8, 8)
    assert report.features_shape == (1, 16, 8, 8)
    assert report.macs == 16 * 16 * 8 * 27 + 8 * 8 * 16 * 72 + 16 * 5


def test_torchvisions_resnet_is_that_of_timm() -> None:
    ours, theirs = analyze(torchvision.models.resnet18()), timm.create_model("resnet18")
    expected = analyze(theirs, name="resnet18")
    assert field(ours) == field(expected) == ReceptiveField(*((n, n) for n in SIZES))
    assert (ours.macs, ours.params) == (expected.macs, expected.params)
    assert ours.macs == 1_814_073_344
    assert ours.features_shape == expected.features_shape == (1, 512, 7, 7)
    assert ours.peak_activation_bytes == expected.peak_activation_bytes


SIZES = (435, 32, 217)


class SmallTransformer(nn.Module):
    """Patches of 8 x 8 pixels, a class token and two blocks of torch's own."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 16, 8, 8)
        self.token = nn.Parameter(torch.zeros(1, 1, 16))
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(16, 3)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.embed(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(tokens), -1, -1), tokens], 1)
        logits: Tensor = self.head(self.encoder(tokens)[:, 0])
        return logits


def test_a_transformer() -> None:
    network = SmallTransformer()
    report = analyze(network, image_size=32)
    assert field(report) == ReceptiveField((8, 8), (8, 8), (0, 0))
    assert report.field.global_from == "encoder.layers.0.self_attn"
    assert report.field.unknown_ops == []
    assert report.params == sum(p.numel() for p in network.parameters())
    tokens, block = 17, 4 * 16 * 16 + 2 * 16 * 32
    attention = 2 * tokens * tokens * 16
    expected = 16 * 16 * 192 + 2 * (tokens * block + attention) + 16 * 3
    assert report.macs == expected


class Branches(nn.Module):
    """Two paths of different reach that are added."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(1, 4, 1)
        self.wide = nn.Conv2d(1, 4, 5, padding=2)

    def forward(self, images: Tensor) -> Tensor:
        both: Tensor = self.narrow(images) + self.wide(images)
        return both.mean((2, 3))


def test_branches_see_what_the_widest_sees_and_channels_are_found() -> None:
    report = analyze(Branches(), image_size=(16, 24))
    assert field(report) == ReceptiveField((5, 5), (1, 1), (2, 2))
    assert report.layers[0].input_shape == (1, 1, 16, 24)


@pytest.mark.parametrize("channels", [1, 4, 13])
def test_channels_are_those_of_the_first_convolution(channels: int) -> None:
    report = analyze(nn.Sequential(nn.Conv2d(channels, 2, 3)), 8)
    assert report.layers[0].input_shape == (1, channels, 8, 8)


def test_channels_can_be_given() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(5 * 8 * 8, 2))
    assert analyze(flat, 8, channels=5).macs == 5 * 8 * 8 * 2


def test_the_network_is_left_as_it_was() -> None:
    cnn = small_cnn().train()
    network = nn.Sequential(cnn, nn.Identity().eval())
    cnn[0].requires_grad_(False)
    network.register_forward_hook(lambda *_: None)
    state = copy.deepcopy(network.state_dict())
    before = {name: copy.copy(vars(module)) for name, module in network.named_modules()}
    flags = [(p.requires_grad, p.device, p.data_ptr()) for p in network.parameters()]
    analyze(network, 32)
    assert before == {name: vars(module) for name, module in network.named_modules()}
    assert flags == [
        (p.requires_grad, p.device, p.data_ptr()) for p in network.parameters()
    ]
    assert all(torch.equal(state[key], v) for key, v in network.state_dict().items())


def test_half_precision_is_counted_as_float32() -> None:
    expected = analyze(small_cnn(), 32)
    report = analyze(small_cnn().half(), 32)
    assert report.macs == expected.macs
    assert report.peak_activation_bytes == expected.peak_activation_bytes


def test_weights_are_not_copied() -> None:
    wide = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 1))
    with torch.device("meta"):
        wide[1] = nn.Linear(3 * 8 * 8, 10**10)  # 7.7 TB, if it were copied
    wide.table = torch.zeros(1).expand(10**13)  # neither a parameter nor a buffer
    tracemalloc.start()
    assert analyze(wide, 8).params == 3 * 8 * 8 * 10**10 + 10**10
    assert tracemalloc.get_traced_memory()[1] < 10**7
    tracemalloc.stop()


def test_as_text_it_says_what_the_network_sees_and_costs() -> None:
    text = str(analyze(torchvision.models.resnet18(), image_size=224))
    assert text.startswith("ResNet at 224 x 224\n")
    for part in ("1,814,073,344", "11,689,512", "435 x 435 px", "layer4.1"):
        assert part in text
    assert "The costliest 10 of 68 layers" in text
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_lines_in_the_readme_print_that_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    readme = Path(__file__).parents[2] / "README.md"
    blocks = re.findall(r"```python\n(.*?)```", readme.read_text(), flags=re.DOTALL)
    (lines,) = (block for block in blocks if "network_analysis import" in block)
    exec(lines, {"network": small_cnn()})
    assert capsys.readouterr().out == f"{analyze(small_cnn())}\n"


def test_ends_where_it_is_told_and_goes_on_from_there() -> None:
    network = torchvision.models.resnet18()
    conv = appended("conv2d(kernel_size=3)")
    assert field(analyze(network, until="layer2")).size_px == (99, 99)
    longer = analyze(network, until="layer2", append=conv)
    assert field(longer).size_px == (99 + 2 * 8,) * 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"until": "layer22"}, "ResNet has no layer 'layer22'. Closest names: layer2"),
        ({"append": appended("conv2d(kernel_size=3)")}, "ResNet has no forward_feat"),
    ],
)
def test_an_end_that_is_not_there_is_refused(
    options: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        analyze(torchvision.models.resnet18(), **options)  # type: ignore[arg-type]


def test_lazy_layers_are_refused_until_they_have_sizes() -> None:
    network = nn.Sequential(nn.LazyConv2d(4, 3))
    with pytest.raises(ConfigError, match="lazy layers, whose sizes are not known yet"):
        analyze(network, 8)
    network(torch.zeros(1, 3, 8, 8))
    assert analyze(network, 8).macs == 6 * 6 * 4 * 27
