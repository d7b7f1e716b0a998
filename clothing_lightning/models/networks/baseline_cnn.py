"""Baseline CNN: three convolutions of 128, 128 and 64 filters, and two dense layers.

So a published experiment on the clothing dataset describes it: 3 x 3 convolutions
without padding, batch norm, 2 x 2 max pooling; dense 64, then the classes. With its 17
classes at 224 px it has 2,995,665 parameters, published as 2.9 M. All but 0.23 M lie
between the 64 maps of 26 x 26 and the 64 outputs of the first dense layer.
"""

from typing import Any

from timm.models import generate_default_cfgs, register_model
from torch import nn

from clothing_lightning.models.networks.convnet import build

default_cfgs = generate_default_cfgs(
    {
        "baseline_cnn": {
            "num_classes": 17,
            "crop_pct": 1.0,
            "fixed_input_size": True,
            "first_conv": "stages.0.0",
            "classifier": "classifier",
        }
    }
)


@register_model
def baseline_cnn(pretrained: bool = False, **options: Any) -> nn.Module:
    """Baseline CNN; its parameters depend on ``img_size``."""
    own = {"stage": _stage, "widths": (128, 128, 64), "hidden": (64,)}
    return build("baseline_cnn", pretrained, own | options)


def _stage(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
    )
