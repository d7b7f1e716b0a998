"""Is the drawn data set learnable, and does it take more than a linear model?

Run with ``python benchmarks/sample_difficulty.py [images]``. Prints the accuracy of a
logistic regression on 32 x 32 pixels and of a small network trained from scratch on
64 x 64 pixels, on 30 % of the images, stratified, over three seeds.
"""

import csv
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from clothing_lightning.data.drawing import LABELS, draw_sample

SEEDS = (0, 1, 2)
EPOCHS = 30


def read_sample(folder: Path, size_px: int) -> NDArray[np.float32]:
    """Read the images, shape (images, 3, size_px, size_px), values 0 to 1."""
    with (folder / "images.csv").open(encoding="utf-8") as file:
        names = [row["image"] for row in csv.DictReader(file)]
    photos = []
    for name in names:
        with Image.open(folder / "images" / f"{name}.jpg") as photo:
            small = photo.resize((size_px, size_px), Image.Resampling.BOX)
            photos.append(np.asarray(small, np.float32).transpose(2, 0, 1) / 255)
    return np.stack(photos)


def read_labels(folder: Path) -> NDArray[np.int64]:
    """Read the class indices, shape (images,)."""
    with (folder / "images.csv").open(encoding="utf-8") as file:
        return np.array([LABELS.index(row["label"]) for row in csv.DictReader(file)])


def small_network() -> nn.Module:
    """Four blocks of convolution, normalisation and pooling."""
    layers: list[nn.Module] = []
    for ins, outs in ((3, 16), (16, 32), (32, 64), (64, 96)):
        layers += [nn.Conv2d(ins, outs, 3, padding=1, bias=False)]
        layers += [nn.BatchNorm2d(outs), nn.ReLU(), nn.MaxPool2d(2)]
    head = [nn.Flatten(), nn.Dropout(0.5), nn.Linear(96 * 4 * 4, len(LABELS))]
    return nn.Sequential(*layers, *head)


def train_network(images: Tensor, labels: Tensor) -> nn.Module:
    """Train with flips and shifts under a one-cycle schedule."""
    network = small_network()
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.05)
    batches = len(labels) // 32
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, EPOCHS * batches)
    for _ in range(EPOCHS):
        order = torch.randperm(len(labels))
        for batch in order[: batches * 32].reshape(batches, 32):
            views = torch.stack([_shaken(image) for image in images[batch]])
            loss = nn.functional.cross_entropy(network(views), labels[batch])
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
    return network.eval()


def _shaken(image: Tensor) -> Tensor:
    """Shift by up to four pixels and flip half of the time."""
    shift = [int(v) for v in torch.randint(-4, 5, (2,))]
    image = image.roll(shift, (1, 2))
    return image.flip(2) if torch.rand(()) < 0.5 else image


def network_accuracy(
    images: Tensor, labels: Tensor, train: Tensor, test: Tensor, seed: int
) -> float:
    """Accuracy on the test indices after training on the train indices."""
    torch.manual_seed(seed)
    network = train_network(images[train], labels[train])
    with torch.no_grad():
        guesses = network(images[test]).argmax(1)
    return float((guesses == labels[test]).float().mean())


def main() -> None:
    """Draw, measure and print."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "sample"
        draw_sample(folder, images=int(sys.argv[1]) if sys.argv[1:] else 480)
        labels, flat = read_labels(folder), read_sample(folder, 32)
        images = torch.from_numpy(read_sample(folder, 64) - np.float32(0.5)) * 4
    accuracies: dict[str, list[float]] = {"linear": [], "network": []}
    for seed in SEEDS:
        train, test = train_test_split(
            np.arange(len(labels)), test_size=0.3, stratify=labels, random_state=seed
        )
        linear = make_pipeline(
            StandardScaler(), LogisticRegression(C=0.01, max_iter=1000)
        )
        linear.fit(flat[train].reshape(len(train), -1), labels[train])
        score = float(linear.score(flat[test].reshape(len(test), -1), labels[test]))
        accuracies["linear"].append(score)
        start = time.perf_counter()
        picks = torch.from_numpy(train), torch.from_numpy(test)
        better = network_accuracy(images, torch.from_numpy(labels), *picks, seed)
        accuracies["network"].append(better)
        seconds = time.perf_counter() - start
        print(
            f"seed {seed}: linear {score:.3f}, network {better:.3f} ({seconds:.0f} s)"
        )
    for name, values in accuracies.items():
        mean, deviation = np.mean(values), np.std(values, ddof=1)
        print(f"{name:8} accuracy {mean:.3f} ± {deviation:.3f} over {len(SEEDS)} seeds")


if __name__ == "__main__":
    main()
