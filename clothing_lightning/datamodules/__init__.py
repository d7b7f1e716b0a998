"""One LightningDataModule for each data set."""

from clothing_lightning.datamodules.base import PhotoDataModule
from clothing_lightning.datamodules.clothing_dataset import ClothingDataset
from clothing_lightning.datamodules.sample import Sample

__all__ = ["ClothingDataset", "PhotoDataModule", "Sample"]
