"""One LightningDataModule for each data set."""

from clothing_lightning.datamodules.base import PhotoDataModule
from clothing_lightning.datamodules.clothing_dataset import ClothingDataset
from clothing_lightning.datamodules.deepfashion import DeepFashion
from clothing_lightning.datamodules.fashion_mnist import FashionMNIST
from clothing_lightning.datamodules.fashion_products import FashionProducts
from clothing_lightning.datamodules.image_folder import ImageFolder
from clothing_lightning.datamodules.sample import Sample

__all__ = [
    "ClothingDataset",
    "DeepFashion",
    "FashionMNIST",
    "FashionProducts",
    "ImageFolder",
    "PhotoDataModule",
    "Sample",
]
