"""Write docs/calibration.md from the runs in mlruns/.

python docs/calibration.py            # after dvc pull
python docs/calibration.py --check    # exit code 1 if it is not what this writes
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from clothing_lightning.metrics.abstention import calibrate
from clothing_lightning.metrics.calibration import tempered, tempering, top
from clothing_lightning.metrics.classification_report import arrays
from clothing_lightning.metrics.intervals import wilson_interval
from clothing_lightning.metrics.selective import Calibration
from clothing_lightning.tracking.read import find_run

ROOT = Path(__file__).resolve().parents[1]
PAGE = Path("docs/calibration.md")
SEEDS = [f"efficientnet_lite0{recipe}" for recipe in ("", "_two_phase", "_frozen")]
GROUPED = "efficientnet_lite0_frozen_grouped"
RUNS = [f"{name}-seed{seed}" for name in [*SEEDS, "small_cnn"] for seed in range(3)]
RUNS[9:9] = [f"{GROUPED}, fold {fold} of 5" for fold in range(1, 6)]
ASKED: dict[str, tuple[float, ...]] = dict.fromkeys(RUNS, (0.9, 0.95))
ASKED |= {name: (0.99,) for name in RUNS if "small_cnn" in name}
HEAD = """\
# Can the confidence be believed?

Written by `python docs/calibration.py` from the reference runs (`dvc pull`).

After its test, `fit` divides the logits of the best checkpoint by one number, the
temperature (Guo et al., ICML 2017, arXiv:1706.04599), which makes the cross-entropy
of the **validation images** lowest. It changes no predicted class. It stands in the
checkpoint and in every export, with the accuracy on validation images at each
confidence. `predict` and the scripts of exports answer with calibrated probabilities;
stored predictions, metrics, `evaluate` and `compare` keep to what the network itself
says, so that runs stay comparable.

A temperature above 1 makes answers less sure. Below 1 it makes them surer, as label
smoothing and mixup need, which keep a network from being sure: `efficientnet_lite0`
and `small_cnn` smooth their labels. Below 50 validation images it is kept within 0.5
and 2, and `fit` says how few they were.

## What a temperature does to test images

ECE is the expected calibration error in 15 bins, NLL the mean cross-entropy in nats;
both are better where they are lower. The temperature has not seen these images.

| run | temperature | ECE | with it | NLL | with it |
|---|---|---|---|---|---|
"""
ABSTAINING = """
Networks that were wrong about themselves gain much. A head on frozen features, whose
confidence was right already, gains nothing: a temperature fitted on some 450 images
is known to a few hundredths, and moves the error by as much in either direction.

## What abstaining gains

`predict --abstain 0.9` answers `unsure` below the lowest confidence at which the
answers for the validation images are 90 % right. That threshold is chosen and
measured on the same images, so it flatters; the last column says what became of it on
the test images. (`small_cnn`, right about 95 % of all images, is asked for 0.99.)
Intervals are Wilson's of 95 %, which take images as independent; photos of one sender
are not, so they are too narrow: in the folds of `grouped`, where validation and test
are of different senders, the same 0.9 comes out further apart than the intervals say.

| run | asked | threshold | validation answered | right | test answered | right |
|---|---|---|---|---|---|---|
"""
MEANS = """
What was asked for, and the mean of what came out:

"""
TAIL = """
## What it does not do

- One number for all classes: a rare class may stay too sure, and one that is never
  predicted gains nothing.
- It holds for photos like those of the validation. A photo of something else may be
  answered wrongly with any confidence.
- An int8 or float16 file carries the temperature of the network that it was made
  from.
"""


def main() -> None:
    """Write or check."""
    os.chdir(ROOT)
    effects, abstaining = "", ""
    reached: dict[tuple[str, float], list[float]] = {}
    for name in RUNS:
        run = find_run(name)
        validation, test = (
            pd.read_parquet(run.artifact(f"predictions/{stage}.parquet"))
            for stage in ("val", "test")
        )
        fitted = calibrate(validation)
        assert fitted is not None
        effects += _effect(name, fitted, test)
        for asked, row, accuracy in _abstaining(name, fitted, test):
            abstaining += row
            group = "grouped folds" if GROUPED in name else "other runs"
            reached.setdefault((group, asked), []).append(accuracy)
    means = "".join(
        f"- {asked}, {len(each)} {group}: {sum(each) / len(each):.3f} on test images, "
        f"from {min(each):.3f} to {max(each):.3f}\n"
        for (group, asked), each in sorted(reached.items(), reverse=True)
    )
    text = f"{HEAD}{effects}{ABSTAINING}{abstaining}{MEANS}{means}{TAIL}"
    if "--check" not in sys.argv:
        PAGE.write_text(text, encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != text:
        sys.exit(f"{PAGE} is not what docs/calibration.py writes of these runs.")


def _effect(name: str, fitted: Calibration, test: pd.DataFrame) -> str:
    """The row of a run in the first table."""
    effect = [f"{value:.3f}" for value in tempering(test, fitted.temperature).values()]
    return f"| {name} | {fitted.temperature:.2f} | {' | '.join(effect)} |\n"


def _abstaining(
    name: str, fitted: Calibration, test: pd.DataFrame
) -> Iterator[tuple[float, str, float]]:
    """Accuracy that is asked for, row of the second table, accuracy of the test."""
    targets, probabilities = arrays(test)
    confidence, right = top(tempered(probabilities, fitted.temperature), targets)
    for asked in ASKED[name]:
        point = fitted.reaching(asked)
        assert point is not None
        answered = confidence >= point.threshold
        hits, count = int(right[answered].sum()), int(answered.sum())
        low, high = wilson_interval(hits, count)
        row = (
            f"| {name} | {asked} | {point.threshold:.3f} | {point.share:.0%} | "
            f"{point.accuracy:.3f} | {answered.mean():.0%} | "
            f"{hits / count:.3f} [{low:.3f}, {high:.3f}] |\n"
        )
        yield asked, row, hits / count


if __name__ == "__main__":
    main()
