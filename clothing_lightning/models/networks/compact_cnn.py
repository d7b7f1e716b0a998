"""Compact CNN: three convolutions with max pooling, 32, 64 and 128 filters, at 256 px.

A published experiment on DeepFashion describes it so, with about 5 M parameters and
either flattened features or global pooling, and not its kernels, paddings or dense
layers. Of 3 x 3 kernels and 2 x 2 poolings, with the 46 categories as outputs:

==========  =====  =====================  ============
padding     map    dense layers           parameters
==========  =====  =====================  ============
same        32²    flatten, classes       6.12 M
same        32²    flatten, 32, classes   4.29 M
same        32²    flatten, 64, classes   8.48 M
**valid**   30²    **flatten, classes**   **5.39 M**
valid       30²    flatten, 32, classes   3.78 M
valid       30²    flatten, 64, classes   7.47 M
==========  =====  =====================  ============

Only one of them rounds to 5 M: no padding, and the classifier right on the 115,200
flattened features. That is this network. 93,248 parameters are convolutions, so with
global pooling it cannot have 5 M: with average and maximum side by side it has 0.105 M.
"""

from typing import Any

from timm.models import generate_default_cfgs, register_model
from torch import nn

from clothing_lightning.models.networks.convnet import build

CFG = {
    "input_size": (3, 256, 256),
    "num_classes": 46,
    "crop_pct": 1.0,
    "first_conv": "stages.0.0",
    "classifier": "classifier",
}
default_cfgs = generate_default_cfgs(
    {
        "compact_cnn": {**CFG, "fixed_input_size": True},
        "compact_cnn_global_pooling": CFG,
    }
)


def _stage(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2)
    )


LAYERS = {"stage": _stage, "widths": (32, 64, 128)}


@register_model
def compact_cnn(pretrained: bool = False, **options: Any) -> nn.Module:
    """Compact CNN with flattened features; its parameters depend on ``img_size``."""
    return build("compact_cnn", pretrained, LAYERS | options)


@register_model
def compact_cnn_global_pooling(pretrained: bool = False, **options: Any) -> nn.Module:
    """Compact CNN with global average and maximum, or what ``global_pool`` says."""
    own = {"global_pool": "catavgmax", "img_size": 256}
    return build("compact_cnn_global_pooling", pretrained, LAYERS | own | options)
