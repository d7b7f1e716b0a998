"""Tiny networks with random weights, as training leaves them."""

import torch

from clothing_lightning.data.options import Preprocessing
from clothing_lightning.inference.trained_network import TrainedNetwork, build_network
from clothing_lightning.models.description import NetworkDescription

NAMES = ["Dress", "Hat", "T-Shirt | <b>", "Größe"]


def random_network(
    preprocessing: Preprocessing, backbone: str = "test_resnet"
) -> TrainedNetwork:
    """A network whose classes depend on its image."""
    torch.manual_seed(0)
    description = NetworkDescription(
        backbone, NAMES, preprocessing, in_chans=len(preprocessing.mean)
    )
    return build_network(description, None, torch.device("cpu"))
