"""How long does it take to set up 289,222 images, and how much memory?

``python -m benchmarks.large_setup [FOLDER]`` makes a tree of tiny images laid out as
DeepFashion is, and sets it up twice: the first time every file is decoded and hashed,
then that is remembered. The reference is torchvision's ImageFolder, which lists the
same files and looks into none. Each runs in a process of its own; memory is the
highest use, imports among it.
"""

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from tests.trees import deepfashion

IMAGES = 289_222


def set_up(root: str) -> None:
    """Read the lists, look at the files, divide, build the data sets."""
    from clothing_lightning.datamodules import DeepFashion

    data = DeepFashion(root, num_workers=2)
    data.setup("fit")
    assert len(data.table) == IMAGES


def reference(root: str) -> None:
    """List the files."""
    from torchvision.datasets import ImageFolder

    assert len(ImageFolder(f"{root}/img")) == IMAGES


def measured(work: Callable[[str], None], root: str) -> tuple[float, float, float]:
    """Seconds, GB that imports take and GB at the highest, in a new process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measure, work, root).result()


def _measure(work: Callable[[str], None], root: str) -> tuple[float, float, float]:
    # What both import at some time, so that the first line below says work alone.
    import albumentations  # noqa: F401
    import torchvision.datasets  # noqa: F401

    import clothing_lightning.data.selection
    import clothing_lightning.datamodules  # noqa: F401

    imports = _peak_gb()
    start = time.perf_counter()
    work(root)
    return time.perf_counter() - start, imports, _peak_gb()


def _peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    """Print seconds, memory and the ratio."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CLOTHING_CACHE"] = f"{folder}/cache"
        root = Path(sys.argv[1] if len(sys.argv) > 1 else f"{folder}/deepfashion")
        if not root.exists():
            deepfashion(root, IMAGES, categories=46, per_garment=52)
        seconds = {}
        for name, work in (
            ("first set-up", set_up),
            ("later set-up", set_up),
            ("torchvision's ImageFolder", reference),
        ):
            seconds[name], imports, peak = measured(work, str(root))
            print(
                f"{name}: {seconds[name]:.1f} s, {peak:.2f} GB, of which imports "
                f"{imports:.2f} GB"
            )
        ratio = seconds["later set-up"] / seconds["torchvision's ImageFolder"]
        print(f"later set-up / ImageFolder: {ratio:.2f}")


if __name__ == "__main__":
    main()
