"""How long does a comparison of 100 models take, and how large is its page?

    python -m benchmarks.comparison_page [--models 100] [--classes 46] [--images 2000]

Ranks made-up models with a photo for each image, and writes the page. The reference is
scikit-learn: what its f1_score would take for as many resamples of as many models, from
the time that it takes for 20.
"""

import argparse
import io
import time

import numpy as np
from PIL import Image
from sklearn.metrics import f1_score

from clothing_lightning.comparison.page import comparison_page
from clothing_lightning.comparison.ranking import rank
from tests.compared_models import comparison

RESAMPLES = 2000
TIMED = 20


def main() -> None:
    """Print times, size and ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in (("models", 100), ("classes", 46), ("images", 2000)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    skills = {f"model {n}": 1.5 + n / options.models for n in range(options.models)}
    classes = [f"class {n}" for n in range(options.classes)]
    compared = comparison(skills, classes, images=options.images)

    begin = time.perf_counter()
    ranking = rank(compared, resamples=RESAMPLES)
    ranked = time.perf_counter()
    page = comparison_page(
        compared, ranking, title="", command="", photo=photo, links={}
    )
    written = time.perf_counter()

    predicted = ranking.models[0].model.repeats[0].predicted
    rng = np.random.default_rng(0)
    for _ in range(TIMED):
        drawn = rng.integers(0, len(predicted), len(predicted))
        f1_score(compared.labels[drawn], predicted[drawn], average="macro")
    each = (time.perf_counter() - written) / TIMED
    by_sklearn = each * RESAMPLES * options.models
    print(f"ranking   {ranked - begin:8.1f} s, {len(ranking.pairs):,} pairs tested")
    print(f"page      {written - ranked:8.1f} s, {len(page) / 1e6:.1f} MB")
    print(f"reference {by_sklearn:8.1f} s, for {RESAMPLES:,} resamples of each model")
    print(f"ratio     {by_sklearn / (ranked - begin):8.1f}")


def photo(content: str) -> bytes:
    """Noise in the size of a phone's photo, different for each image."""
    rng = np.random.default_rng(int(content, 16))
    pixels = rng.integers(0, 255, (12, 16, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((1600, 1200)).save(file, "JPEG")
    return file.getvalue()


if __name__ == "__main__":
    main()
