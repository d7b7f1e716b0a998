"""Reading photos for a network that is trained: as in its test, a batch at a time.

Threads decode while the network computes: Pillow and OpenCV let go of Python's lock.
Nothing is random here, and a file that cannot be read ends nothing.
"""

import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clothing_lightning.data.decoding import read_image
from clothing_lightning.errors import ImageError

if TYPE_CHECKING:
    from clothing_lightning.data.augmentation import Pipeline

_THREADS = 4  # each may hold a decoded image of full size
_BATCHES_AHEAD = 2

Photo = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


class PhotoReader:
    """Reads a photo as a test does: the part in its box, resized, the centre cut out.

    Several threads may share one: each gets a pipeline of its own.
    """

    def __init__(self, size: int, crop_pct: float) -> None:
        """Describe the result; `Preprocessing` has both numbers.

        Args:
            size: Height and width in pixels.
            crop_pct: Share of the resized short side that the crop keeps.
        """
        self.size, self.crop_pct = size, crop_pct
        self._of_thread = threading.local()

    def __call__(self, path: Path, box: Sequence[int] | None = None) -> Photo:
        """Read a photo, ``[size, size, 3]``.

        Args:
            path: Of the image.
            box: Left, top, right and bottom of the part that is used, in pixels.

        Raises:
            ImageError: If it cannot be read.
        """
        photo = read_image(path)
        if box is not None:
            left, top, right, bottom = box
            photo = photo[top:bottom, left:right]
        return self._pipeline()(photo, seed=0)

    def _pipeline(self) -> "Pipeline":
        if not hasattr(self._of_thread, "pipeline"):
            from clothing_lightning.data.augmentation import Pipeline

            self._of_thread.pipeline = Pipeline([], self.size, self.crop_pct)
        pipeline: Pipeline = self._of_thread.pipeline
        return pipeline


def read_batches(
    reader: PhotoReader,
    paths: Sequence[Path],
    batch_size: int,
    boxes: "np.ndarray[Any, Any] | None" = None,
) -> Iterator[list[Photo | ImageError]]:
    """Read photos in order; of those that cannot be read comes the error.

    At most three batches of results are held, and four decoded images of full size.

    Args:
        reader: From a path to what the network gets.
        paths: Of the images.
        batch_size: How many make a batch.
        boxes: Of the part of each that is used, as `PhotoReader` takes one; ``[N, 4]``.

    Yields:
        Results of a batch, in the order of the paths.
    """

    def read(index: int) -> Photo | ImageError:
        try:
            return reader(paths[index], None if boxes is None else boxes[index])
        except ImageError as err:
            return err

    waiting: deque[list[Future[Photo | ImageError]]] = deque()
    pool = ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1))
    try:
        for start in range(0, len(paths), batch_size):
            numbers = range(start, min(start + batch_size, len(paths)))
            waiting.append([pool.submit(read, number) for number in numbers])
            if len(waiting) > _BATCHES_AHEAD:
                yield [future.result() for future in waiting.popleft()]
        while waiting:
            yield [future.result() for future in waiting.popleft()]
    finally:
        pool.shutdown(cancel_futures=True)
