"""Fashion-MNIST: small gray photos of garments from a shop."""

from pathlib import Path
from typing import Any

from clothing_lightning.data.download import Archive
from clothing_lightning.data.locations import cache_folder, root_folder
from clothing_lightning.data.table import Annotations
from clothing_lightning.datamodules.base import PhotoDataModule
from clothing_lightning.datamodules.fashion_mnist_files import FILES, unpack
from clothing_lightning.datamodules.image_folder_tree import read_tree
from clothing_lightning.errors import DataError, DatasetNotFoundError

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
SERVER = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
MAX_BYTES = 32 << 20  # the largest file takes 26 MB
DEBIAN = Path("/usr/share/datasets/fashion-mnist")  # of dataset-fashion-mnist


class FashionMNIST(PhotoDataModule):
    """Fashion-MNIST.

    70,000 gray images of 28 x 28 px in four gzipped IDX files, which are unpacked once
    into PNG files in the cache. Classes as the files number them: T-shirt/top, Trouser,
    Pullover, Dress, Coat, Sandal, Shirt, Sneaker, Bag, Ankle boot; equally many images
    of each. The authors' split: 60,000 for training, of which the validation images are
    taken, and 10,000 for the test. In the training images gray has mean 0.2860 and
    standard deviation 0.3530, for values from 0 to 1.

    Licence MIT. Source: H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a Novel
    Image Dataset for Benchmarking Machine Learning Algorithms", 2017, arXiv:1708.07747.
    """

    name = "fashion-mnist"
    licence = "MIT"

    def __init__(
        self, root: str | None = None, download: bool = False, **kwargs: Any
    ) -> None:
        """Describe the data; nothing is read yet.

        Args:
            root: Folder with the four files; by default
                ``$CLOTHING_DATA/fashion-mnist``, else ``data/fashion-mnist``, else the
                folder of Debian's package ``dataset-fashion-mnist``.
            download: Whether to fetch files into the root that are not there.
            **kwargs: The options of `PhotoDataModule`.
        """
        super().__init__(**kwargs)
        self.given_root = root
        self.download = download

    def annotations(self) -> Annotations:
        """Unpack the images where that has not been done, and list them.

        Raises:
            DatasetNotFoundError: If a file is not there.
            DownloadError: If a file is to be fetched and cannot be.
            DataError: If a file is damaged or not the published one, or unpacked images
                have gone.
            StorageError: If the images cannot be written.
        """
        folders = {name.partition("/")[0]: name for name in CLASSES}
        unpacked = cache_folder() / self.name
        if self.given_root or not unpacked.is_dir():
            source = self._find_files()
            if not unpacked.is_dir():
                unpack(source, unpacked, list(folders))
        remedy = f"Remove '{unpacked}' to have it made again."
        try:
            annotations = read_tree(unpacked)
        except DataError as err:
            raise DataError(f"FashionMNIST: {err} {remedy}") from err
        number = len(annotations.table)
        expected = sum(labels.shape[0] for _, labels in FILES.values())
        if number != expected:
            raise DataError(
                f"FashionMNIST: of {expected:,} unpacked images {number:,} are there. "
                f"{remedy}"
            )
        annotations.table["label"] = annotations.table["label"].map(folders)
        return annotations

    def _find_files(self) -> Path:
        files = [file for part in FILES.values() for file in part]
        root = root_folder(self.given_root, self.name)
        for folder in (root,) if self.given_root else (root, DEBIAN):
            if all((folder / file.name).is_file() for file in files):
                return folder
        missing = [file for file in files if not (root / file.name).is_file()]
        if not self.download:
            raise DatasetNotFoundError(
                f"FashionMNIST: '{root / missing[0].name}' is not there. {GET_IT}"
            )
        for name, _, _, digest in missing:
            Archive(f"{SERVER}/{name}", digest, name, MAX_BYTES).fetch(root)
        return root


GET_IT = """Get the data by one of
    --data.init_args.download=true      fetches four files, 31 MB
    apt install dataset-fashion-mnist   on Debian and Ubuntu
or name the folder with the four files: --data.init_args.root=FOLDER, or CLOTHING_DATA
for the folder above one called fashion-mnist."""
