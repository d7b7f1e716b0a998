"""Our own networks: to import this is to register them with timm."""

from clothing_lightning.models.networks import (
    baseline_cnn,
    compact_cnn,
    fashion_mnist_cnn,
    nasnet_mobile,
)

__all__ = ["baseline_cnn", "compact_cnn", "fashion_mnist_cnn", "nasnet_mobile"]
