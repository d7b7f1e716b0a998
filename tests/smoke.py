"""Fit every experiment for two batches with its own model and recipe.

``python -m tests.smoke``: on a tiny part of the real photos where ``CLOTHING_DATA`` is
set, else on drawn images. Weights from the hub are replaced by random ones, since
this must run without network.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import yaml

from clothing_lightning import fit

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


def options(experiment: Path) -> list[str]:
    """Words that make an experiment tiny, and let it run without network."""
    words = [str(EXPERIMENTS / "overlays" / "smoke.yaml")]
    if not os.environ.get("CLOTHING_DATA"):
        words += ["--data=Sample", "--data.init_args.split.fraction=0.2"]
    model = yaml.safe_load(experiment.read_text())["model"]["init_args"]
    if model["weights"] == "hub":
        words.append("--model.init_args.weights=none")
    return words


def main() -> int:
    """Fit them one after the other; the first failure ends it."""
    experiments = sorted(EXPERIMENTS.glob("*.yaml"))
    if root := os.environ.get("CLOTHING_DATA"):
        os.environ["CLOTHING_DATA"] = str(Path(root).resolve())
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for experiment in experiments:
            start = time.perf_counter()
            code = fit.main([str(experiment), *options(experiment)])
            took = time.perf_counter() - start
            sys.stdout.write(f"{experiment.stem}: exit {code} after {took:.0f} s\n")
            if code:
                return code
    sys.stdout.write(f"{len(experiments)} experiments fitted\n")
    return 0 if experiments else 1


if __name__ == "__main__":
    sys.exit(main())
