"""Recompute figures that circulate about these networks; makes docs/claims.md.

python docs/claims.py > docs/claims.md
"""

import sys
from collections.abc import Sequence

import timm
from torch import nn

from clothing_lightning.models.backbones import create_on_meta
from clothing_lightning.network_analysis.complexity import NetworkReport, analyze

HEAD = """\
# Figures that circulate, recomputed

Made by `python docs/claims.py > docs/claims.md` with timm {timm}. A MAC is one
multiply-accumulate, two FLOPs. Sizes are those of the input image; a network's cost
is that of timm's implementation with 1,000 classes, for one image.

| claim | what the tool gives | why they differ |
|---|---|---|
"""


def main() -> None:
    """Print the page."""
    sys.stdout.write(HEAD.format(timm=timm.__version__))
    for row in claims():
        sys.stdout.write(f"| {' | '.join(row)} |\n")


def claims() -> list[tuple[str, str, str]]:
    """Claim, finding and reason of each."""
    return [
        three_convolutions(),
        one_convolution(),
        *resnet18(),
        *baseline(),
        mobilenetv2(),
        nasnet_mobile(),
        *at_112(),
        *efficientnet_b0(),
    ]


def three_convolutions() -> tuple[str, str, str]:
    """Three 3x3 convolutions, each followed by a 2x2 max pool."""
    layers: list[nn.Module] = []
    for channels in (3, 8, 8):
        layers += [nn.Conv2d(channels, 8, 3, padding=1), nn.MaxPool2d(2)]
    field = of(layers, 64).field.field
    assert field is not None
    return (
        "three 3x3 convolutions, each with a 2x2 max pool, see 10 x 10 px",
        f"{field.size_px[0]} x {field.size_px[1]} px, effective stride "
        f"{field.stride_px[0]}",
        "10 = 1 + 3·(3 - 1) + 3·(2 - 1) adds every kernel at stride 1. After a pool, a "
        "step in the map is 2, 4, 8 px in the image, and later kernels add that much "
        "more.",
    )


def one_convolution() -> tuple[str, str, str]:
    """A 3x3 convolution from 3 to 32 channels."""
    layer = of([nn.Conv2d(3, 32, 3, padding=1)], 256)
    return (
        "21,477,248 FLOPs for a 3x3 convolution 3→32 at 256 x 256",
        f"{layer.macs:,} MACs, {layer.flops:,} FLOPs, and {layer.other_flops:,} "
        "additions of biases",
        "The claim is a fifth of it. No stride, padding or counting of biases that we "
        "tried gives it (its largest prime factor is 12,907).",
    )


def resnet18() -> list[tuple[str, str, str]]:
    """The often quoted 1.8 G, and the shortcuts."""
    report = named("resnet18")
    shortcuts = [layer for layer in report.layers if "downsample" in layer.name]
    macs = sum(layer.macs for layer in shortcuts)
    (each,) = {layer.macs for layer in shortcuts if layer.macs}
    return [
        (
            'ResNet-18 has "1.8 GFLOPS"',
            f"{report.macs:,} MACs, {report.flops:,} FLOPs",
            "The 1.8 G are MACs. (GFLOPS, with a capital S, is a speed.)",
        ),
        (
            "a list of ResNet-18's layers without its 1x1 shortcuts",
            f"{macs:,} MACs in {sum(1 for s in shortcuts if s.macs)} shortcuts of "
            f"{each:,} each: {macs / report.macs:.1%} of all",
            "They are layers like any other: `layer2.0.downsample.0` and its like.",
        ),
    ]


def baseline() -> list[tuple[str, str, str]]:
    """Three valid convolutions and two dense layers, 17 classes."""
    layers = [
        *(nn.Conv2d(3, 128, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(128, 128, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(128, 64, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(64 * 26 * 26, 64), nn.ReLU(), nn.Linear(64, 17)),
    ]
    report = of(layers, 224)
    counted = [layer for layer in report.layers if layer.macs]
    claims = (346_816_512, 3_633_610_752, 429_981_696, 5_537_792, 2_176)
    rows = []
    for claim, layer in zip(claims, counted, strict=True):
        same = claim == layer.flops
        inputs, outputs = layer.input_shape[2:], layer.output_shape[2:]
        reason = (
            "They agree."
            if same
            else f"The claim multiplies by the input's size, {size(inputs)}: a valid "
            f"convolution is computed at the {size(outputs)} positions of its output."
        )
        rows.append(
            (
                f"baseline CNN at 224, {layer.type} {layer.name}: {claim:,} FLOPs",
                f"{layer.flops:,} FLOPs ({layer.macs:,} MACs)",
                reason,
            )
        )
    return rows


def mobilenetv2() -> tuple[str, str, str]:
    """605 M and 306 M."""
    report = named("mobilenetv2_100")
    norms = [layer for layer in report.layers if "BatchNorm" in layer.type]
    other = sum(layer.other_flops for layer in norms)
    return (
        "MobileNetV2: 605 M FLOPs and 306 M MACs",
        f"{report.flops:,} FLOPs, {report.macs:,} MACs",
        "The claim has 0.6 % and 1.7 % more than the convolutions and the dense layer. "
        f"Batch norms alone are {other:,} further operations, so such counts include "
        "some of what is not a MAC, and not the same in both: 605 is not 2 · 306.",
    )


def nasnet_mobile() -> tuple[str, str, str]:
    """NASNet-A (4 @ 1056)."""
    report = named("nasnet_mobile")
    return (
        "NASNetMobile: 1126 M FLOPs and 564 M MACs",
        f"{report.flops:,} FLOPs, {report.macs:,} MACs (`nasnet_mobile`, ours, from "
        f"the cells of timm's large one; {report.params:,} parameters)",
        "The claim is consistent in itself, FLOPs being about twice the MACs.",
    )


def at_112() -> list[tuple[str, str, str]]:
    """Three networks at half the usual side."""
    rows = []
    for name, label, claim in (
        ("vgg16", "VGG16", "3.9"),
        ("efficientnet_b0", "EfficientNet-B0", "0.1"),
        ("densenet121", "DenseNet-121", "0.7"),
    ):
        report = named(name, 112)
        rows.append(
            (
                f'{label} at 112 px: {claim} G "FLOPS"',
                f"{report.macs:,} MACs, {report.flops:,} FLOPs",
                f"{claim} G are the MACs; FLOPs are twice as many.",
            )
        )
    return rows


def efficientnet_b0() -> list[tuple[str, str, str]]:
    """771.84 M, and what int8 does to it."""
    report = named("efficientnet_b0")
    return [
        (
            "EfficientNet-B0: 771.84 M FLOPs at 224",
            f"{report.flops:,} FLOPs ({report.macs:,} MACs)",
            f"They agree within {abs(771_840_000 / report.flops - 1):.2%}.",
        ),
        (
            "771 M FLOPs become 2.4 M by int8 quantization",
            f"{report.macs:,} MACs before and after; weights of "
            f"{report.size_mb('float32'):.1f} MB in float32 and "
            f"{report.size_mb('int8'):.1f} MB in int8",
            "Quantization changes the numbers that are multiplied, not how many are. A "
            "counter that does not know the quantized layers sees only what is left "
            "outside of them.",
        ),
    ]


def of(layers: Sequence[nn.Module], side: int) -> NetworkReport:
    """Report of layers in sequence, at a square image."""
    network = nn.Sequential(*layers).to("meta").eval()
    return analyze(network, (side, side), name="layers")


def named(name: str, side: int = 224) -> NetworkReport:
    """Report of a timm network at a square image."""
    return analyze(create_on_meta(name, (side, side)), (side, side), name=name)


def size(shape: Sequence[int]) -> str:
    """Height x width."""
    return " x ".join(map(str, shape))


if __name__ == "__main__":
    main()
