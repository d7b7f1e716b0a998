"""Plain convolutional networks with the interface of timm's."""

import copy
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from timm.layers.adaptive_avgmax_pool import SelectAdaptivePool2d
from timm.models import build_model_with_cfg
from torch import Tensor, nn

from clothing_lightning.errors import ConfigError


class ConvNet(nn.Module):
    """Stages that halve the maps, flattening or global pooling, dense layers, classes.

    A network that flattens has weights for each position of its last map, so it takes
    images of one size.
    """

    def __init__(
        self,
        stage: Callable[[int, int], nn.Module],
        widths: Sequence[int],
        hidden: Sequence[int] = (),
        *,
        num_classes: int,
        in_chans: int,
        img_size: int | tuple[int, int],
        drop_rate: float = 0.0,
        global_pool: str = "",
    ) -> None:
        """Build the network with random weights.

        Args:
            stage: Makes one of its inputs' and outputs' channels; ends with a 2 x 2
                pooling.
            widths: Channels after each stage.
            hidden: Outputs of the dense layers before the classifier.
            num_classes: Outputs; 0 for what the classifier would be given.
            in_chans: Channels of the images.
            img_size: Height and width of the images, or the side of a square, in px.
            drop_rate: Dropout before the classifier, 0 to 1.
            global_pool: ``avg``, ``max``, ``avgmax`` or ``catavgmax``; empty: flatten.

        Raises:
            ConfigError: If it flattens, and nothing is left of images so small.
        """
        super().__init__()
        self.in_chans, self.hidden, self.num_features = in_chans, hidden, widths[-1]
        self.img_size = (img_size, img_size) if isinstance(img_size, int) else img_size
        self.stages = nn.Sequential(
            *(stage(*channels) for channels in pairwise((in_chans, *widths)))
        )
        self.feature_info = [
            {"num_chs": width, "reduction": 2 ** (i + 1), "module": f"stages.{i}"}
            for i, width in enumerate(widths)
        ]
        self.head_drop = nn.Dropout(drop_rate)
        self._set_pooling(global_pool)
        self.reset_classifier(num_classes)

    def _set_pooling(self, global_pool: str) -> None:
        """Put a pooling, or the flattening, and the dense layers that it needs."""
        self.global_pool = SelectAdaptivePool2d(pool_type=global_pool, flatten=True)
        values: int = self.global_pool.feat_mult()  # type: ignore[no-untyped-call]
        if not global_pool:
            values = self._positions()
        sizes = (self.num_features * values, *self.hidden)
        self.head_hidden_size = sizes[-1]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True)]
        self.dense = nn.Sequential(*layers)

    def _positions(self) -> int:
        """Height times width of the last map."""
        height, width = self.img_size
        images = torch.empty(1, self.in_chans, height, width, device="meta")
        try:
            maps = copy.deepcopy(self.stages).to("meta").eval()(images)
        except RuntimeError as err:
            raise ConfigError(
                f"data.init_args.image_size: nothing is left of images of {height} x "
                f"{width} px after the {len(self.stages)} stages of this network. Use "
                "larger ones."
            ) from err
        return int(maps[0, 0].numel())

    def reset_classifier(
        self, num_classes: int, global_pool: str | None = None
    ) -> None:
        """Put a new classifier; with another pooling, new dense layers as well."""
        device = next(self.stages.parameters()).device
        if global_pool not in (None, self.global_pool.pool_type):
            self._set_pooling(global_pool or "")
            self.dense.to(device)
        self.num_classes = num_classes
        self.classifier = (
            nn.Linear(self.head_hidden_size, num_classes, device=device)
            if num_classes
            else nn.Identity()
        )

    def get_classifier(self) -> nn.Module:
        """Return the layer that turns features into logits."""
        return self.classifier

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Tell timm which parameters belong together, in order of depth."""
        return {"stem": r"^stages\.0", "blocks": r"^stages\.(\d+)"}

    def forward_features(self, images: Tensor) -> Tensor:
        """Feature maps of images ``[N, C, H, W]``."""
        maps: Tensor = self.stages(images)
        return maps

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """Logits of feature maps, or what the classifier is given."""
        hidden: Tensor = self.head_drop(self.dense(self.global_pool(features)))
        return hidden if pre_logits else self.classifier(hidden)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[N, num_classes]`` of images ``[N, C, H, W]``.

        Raises:
            ConfigError: If the network flattens, and was built for another size.
        """
        (height, width), (own_height, own_width) = images.shape[-2:], self.img_size
        if not self.global_pool.pool_type and images.shape[-2:] != self.img_size:
            raise ConfigError(
                "model.init_args.backbone: this network flattens its features and was "
                f"built for images of {own_height} x {own_width} px; these are "
                f"{height} x {width} px. Set data.init_args.image_size, leave "
                "train_image_size out, or choose a network with global pooling."
            )
        return self.forward_head(self.forward_features(images))


def build(name: str, pretrained: bool, options: dict[str, Any]) -> nn.Module:
    """Build a `ConvNet` of three stages, registered by name, as timm builds its own.

    Options are those of `ConvNet` and of timm.
    """
    features = {"flatten_sequential": True, "out_indices": (0, 1, 2)}
    network: nn.Module = build_model_with_cfg(
        ConvNet, name, pretrained, feature_cfg=features, **options
    )
    return network
