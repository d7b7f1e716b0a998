"""NASNet-A Mobile (4 @ 1056), from the cells of timm's large one.

Zoph, Vasudevan, Shlens and Le, "Learning Transferable Architectures for Scalable Image
Recognition", CVPR 2018, arXiv:1707.07012: 5.3 M parameters and 564 M MACs at 224 px.

Its parameters have the names of the published PyTorch weights, those of Cadene's
pretrained-models (``nasnetamobile-7e03cead.pth``, ImageNet, 1,000 classes): give that
file as ``weights``. They were converted from TensorFlow, so it pads as TensorFlow does.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch.nn.functional as F
from timm.layers.classifier import create_classifier
from timm.layers.conv_bn_act import ConvNormAct
from timm.layers.pool2d_same import AvgPool2dSame
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models import nasnet as large
from torch import Tensor, nn

STEM = 32
WIDTH = 44  # channels of the first cells
FEATURES = {
    "conv0": STEM,
    "cell_stem_1.conv_1x1.act": WIDTH,
    "reduction_cell_0.conv_1x1.act": 6 * WIDTH,
    "reduction_cell_1.conv_1x1.act": 12 * WIDTH,
    "act": 24 * WIDTH,
}
"""Layers where the maps of each size end, activated, and their channels."""

default_cfgs = generate_default_cfgs(
    {
        "nasnet_mobile": {
            "mean": (0.5, 0.5, 0.5),
            "std": (0.5, 0.5, 0.5),
            "first_conv": "conv0.conv",
            "classifier": "last_linear",
        }
    }
)


class NASNetAMobile(nn.Module):
    """Three stages of four cells; a cell takes the outputs of the two before it.

    (In timm's large one, the first cell after a reduction takes an earlier output.)
    """

    num_features = 24 * WIDTH
    last_linear: nn.Module

    def __init__(
        self,
        num_classes: int = 1000,
        in_chans: int = 3,
        drop_rate: float = 0.0,
        global_pool: str = "avg",
    ) -> None:
        """Build the network with random weights.

        Options are timm's: 0 classes give the pooled features, dropout comes before the
        classifier, and a pooling is ``avg``, ``max``, ``avgmax`` or ``catavgmax``.
        """
        super().__init__()
        self.in_chans = in_chans
        self.conv0 = ConvNormAct(
            *(in_chans, STEM, 3),
            stride=2,
            padding=0,
            norm_layer=partial(nn.BatchNorm2d, eps=0.001),
            apply_act=False,
        )
        self.cell_stem_0 = large.CellStem0(STEM, WIDTH // 4, "same")
        self.cell_stem_1 = large.CellStem1(STEM, WIDTH // 2, "same")
        self.cell_names = []
        for name, cell in _cells(WIDTH):
            self.cell_names.append(name)
            self.add_module(name, cell)
        for part in self.children():
            if isinstance(getattr(part, "comb_iter_2_left", None), AvgPool2dSame):
                part.comb_iter_2_left = _AveragePool()
        self.act = nn.ReLU(inplace=True)
        self.head_drop = nn.Dropout(drop_rate)
        self.pool_type = global_pool
        self.reset_classifier(num_classes)
        self.feature_info = [
            {"num_chs": channels, "reduction": 2**depth, "module": module}
            for depth, (module, channels) in enumerate(FEATURES.items(), start=1)
        ]

    def reset_classifier(
        self, num_classes: int, global_pool: str | None = None
    ) -> None:
        """Put a new classifier, and another pooling if one is named."""
        self.num_classes = num_classes
        self.pool_type = global_pool or self.pool_type
        self.global_pool, self.last_linear = create_classifier(
            self.num_features,
            num_classes,
            self.pool_type,
            device=self.conv0.conv.weight.device,
        )
        self.head_hidden_size = self.num_features * self.global_pool.feat_mult()

    def get_classifier(self) -> nn.Module:
        """Return the layer that turns features into logits."""
        return self.last_linear

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Tell timm which parameters belong together, in order of depth."""
        blocks = [
            (rf"^{name}\.", (depth,)) for depth, name in enumerate(self.cell_names)
        ]
        return {"stem": r"^conv0|^cell_stem_", "blocks": blocks}

    def forward_features(self, images: Tensor) -> Tensor:
        """Feature maps ``[N, 1056, H/32, W/32]`` of images ``[N, C, H, W]``."""
        stem = self.conv0(images)
        before = self.cell_stem_0(stem)
        features = self.cell_stem_1(stem, before)
        for name in self.cell_names:
            before, features = features, getattr(self, name)(features, before)
        activated: Tensor = self.act(features)
        return activated

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """Logits of feature maps, or what the classifier is given."""
        pooled: Tensor = self.head_drop(self.global_pool(features))
        return pooled if pre_logits else self.last_linear(pooled)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[N, num_classes]`` of images ``[N, C, H, W]``."""
        return self.forward_head(self.forward_features(images))


class _AveragePool(nn.Module):
    """3 x 3, stride 2, padded as TensorFlow does: the border does not count.

    timm's `AvgPool2dSame` counts it as zeros, whatever `count_include_pad` says.
    """

    def forward(self, features: Tensor) -> Tensor:
        height, width = features.shape[-2:]
        padding = (height % 2, width % 2)  # an even side is padded at its end alone
        return F.avg_pool2d(features, 3, 2, padding, True, count_include_pad=False)


def _cells(width: int) -> Iterator[tuple[str, nn.Module]]:
    """Name and make the cells in order; the large one has cells 4, 5, 10, 11 too."""
    before, last = width, 2 * width  # channels of the two outputs before
    for stage in range(3):
        if stage:
            reduction = large.ReductionCell0(before, 2 * width, last, 2 * width, "same")
            yield f"reduction_cell_{stage - 1}", reduction
            before, last, width = last, 8 * width, 2 * width
        first = large.FirstCell(before, width // 2, last, width, "same")
        yield f"cell_{6 * stage}", first
        before, last = last, 6 * width
        for place in range(1, 4):
            cell = large.NormalCell(before, width, last, width, "same")
            yield f"cell_{6 * stage + place}", cell
            before, last = last, 6 * width


@register_model
def nasnet_mobile(pretrained: bool = False, **options: Any) -> nn.Module:
    """NASNet-A Mobile (4 @ 1056)."""
    network: nn.Module = build_model_with_cfg(
        NASNetAMobile,
        "nasnet_mobile",
        pretrained,
        feature_cfg={"feature_cls": "hook", "no_rewrite": True},
        **options,
    )
    return network
