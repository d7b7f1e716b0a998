"""Six convolution blocks and two dense layers for the gray 28 px of Fashion-MNIST.

Pairs of blocks at 28, 14 and 7 px, as in VGG (Simonyan and Zisserman 2015,
arXiv:1409.1556), with batch norm: 0.58 M parameters.
"""

from typing import Any

from timm.models import generate_default_cfgs, register_model
from torch import nn

from clothing_lightning.models.networks.convnet import build

default_cfgs = generate_default_cfgs(
    {
        "fashion_mnist_cnn": {
            "input_size": (1, 28, 28),
            "num_classes": 10,
            "mean": (0.2860,),  # of the training images
            "std": (0.3530,),
            "crop_pct": 1.0,
            "fixed_input_size": True,
            "first_conv": "stages.0.0",
            "classifier": "classifier",
        }
    }
)


@register_model
def fashion_mnist_cnn(pretrained: bool = False, **options: Any) -> nn.Module:
    """Six-block CNN; its parameters depend on ``img_size``."""
    own = {"stage": _two_blocks, "widths": (32, 64, 128), "hidden": (256,)}
    return build("fashion_mnist_cnn", pretrained, own | options)


def _two_blocks(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        *_block(inputs, outputs), *_block(outputs, outputs), nn.MaxPool2d(2)
    )


def _block(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
