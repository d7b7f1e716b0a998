"""Fit every experiment for two batches with its own model and recipe.

``python -m tests.smoke [WORD ...]``, with words that are parts of their paths: on
a tiny part of the real photos where ``CLOTHING_DATA`` has them, else of the packaged
ones, or on noise in the layout of a data set that cannot be had here. Weights from the
hub are replaced by random ones, since this must run without network.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import yaml

from clothing_lightning import fit
from tests import trees

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


def experiments(words: list[str]) -> list[Path]:
    """Every experiment, or those whose path has one of the words in it."""
    files = sorted(EXPERIMENTS.rglob("*.yaml"))
    whole = [file for file in files if file.parent.name != "overlays"]
    return [f for f in whole if not words or any(word in str(f) for word in words)]


def options(experiment: Path, folder: Path) -> list[str]:
    """Words that make an experiment tiny, and let it run without network.

    Args:
        experiment: Its file.
        folder: For images that are made.
    """
    config = yaml.safe_load(experiment.read_text())
    words = [str(EXPERIMENTS / "overlays" / "smoke.yaml")]
    words += data_options(config["data"]["class_path"], folder)
    if config["model"]["init_args"]["weights"] == "hub":
        words.append("--model.init_args.weights=none")
    return words


def data_options(name: str, folder: Path) -> list[str]:
    """Words that say which images a data module takes."""
    root = folder / name
    whole = "--data.init_args.split.fraction=1"
    if name == "DeepFashion":
        if not root.exists():
            trees.deepfashion(root)
        return [f"--data.init_args.root={root}", whole]
    if name == "FashionProducts":
        if not root.exists():
            trees.fashion_products(root)
        few = "--data.init_args.min_images_per_class=2"
        return [f"--data.init_args.root={root}", whole, few]
    if os.environ.get("CLOTHING_DATA"):
        return []
    return ["--data=Sample", "--data.init_args.split.fraction=0.2"]


def main() -> int:
    """Fit them one after the other; the first failure ends it."""
    chosen = experiments(sys.argv[1:])
    if root := os.environ.get("CLOTHING_DATA"):
        os.environ["CLOTHING_DATA"] = str(Path(root).resolve())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.chdir(folder)
        for experiment in chosen:
            start = time.perf_counter()
            code = fit.main([str(experiment), *options(experiment, folder)])
            took = time.perf_counter() - start
            title = experiment.relative_to(EXPERIMENTS)
            sys.stdout.write(f"{title}: exit {code} after {took:.0f} s\n")
            if code:
                return code
    sys.stdout.write(f"{len(chosen)} experiments fitted\n")
    return 0 if chosen else 1


if __name__ == "__main__":
    sys.exit(main())
