"""Does `fit` train as fast as a loop that does nothing but train?

Run with ``python benchmarks/fit_throughput.py`` on a machine that does nothing else;
``--backbone``, ``--batch-size``, ``--image-size``, ``--steps``, ``--rounds`` and
``--data`` (``photos`` or ``sample``; photos where ``CLOTHING_DATA`` is set) change what
is measured. It compares, in images per second of training after a warm-up:

fit      what ``python -m clothing_lightning.fit`` runs: data module, workers that
         decode and augment, Lightning, metrics, progress bar, MLflow.
bare     a plain loop of the same network, optimizer, loss and batch size, over batches
         that lie in memory, normalised; channels-last, glibc keeps freed memory, and
         bf16 where `fit` would use it.
default  the same loop with torch's defaults: float32, contiguous, default allocator.
loader   the data module's training loader alone, with nobody training.

Each is a process of its own, since an allocator is set for a whole process, and they
take turns, so that a slower minute of the machine hits all of them. Weights are random.
Fit is meant to reach 0.85 of bare.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from clothing_lightning.data.dataset import Batch
    from clothing_lightning.models.classifier import ClothingClassifier

VARIANTS = ("fit", "bare", "default", "loader")
WARMUP = 5  # batches; as many as the workers may have prepared before training began
BATCHES_IN_MEMORY = 4
SAMPLE_CLASSES = 10
TARGET = 0.85


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    data = "photos" if os.environ.get("CLOTHING_DATA") else "sample"
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--steps", type=int, default=15, help="measured in each round")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--data", choices=("photos", "sample"), default=data)
    parser.add_argument("--variant", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def experiment(args: argparse.Namespace) -> dict[str, Any]:
    """The experiment that all variants take their network and data from."""
    data: dict[str, Any] = {
        "batch_size": args.batch_size,
        "image_size": args.image_size,
        "train_image_size": args.image_size,
    }
    if args.data == "sample":
        needed = (WARMUP + args.steps) * args.batch_size
        data["images_per_class"] = needed // SAMPLE_CLASSES + 1
    optimizer = {
        "class_path": "torch.optim.SGD",
        "init_args": {"lr": 0.005, "momentum": 0.9},
    }
    return {
        "data": {
            "class_path": "Sample" if args.data == "sample" else "ClothingDataset",
            "init_args": data,
        },
        "model": {
            "class_path": "ClothingClassifier",
            "init_args": {
                "backbone": args.backbone,
                "weights": "none",
                "class_weights": "balanced",
                "channels_last": args.variant != "default",
                "optimizer": optimizer,
            },
        },
        "trainer": {
            "max_epochs": 1,
            "limit_train_batches": WARMUP + args.steps,
            "limit_val_batches": 1,
            "num_sanity_val_steps": 0,
        },
    }


def images_per_s(ends: list[float], batch_size: int) -> float:
    """Rate after the warm-up, from the moments at which batches were done."""
    measured = ends[WARMUP - 1 :]
    return batch_size * (len(measured) - 1) / (measured[-1] - measured[0])


def time_fit(file: Path) -> list[float]:
    """Moments at which `fit` was done with each training batch."""
    from lightning.pytorch import Callback

    from clothing_lightning.cli.arguments import split_arguments
    from clothing_lightning.cli.experiment import ExperimentCLI
    from clothing_lightning.cli.third_party_warnings import quiet_libraries
    from clothing_lightning.training.fitting import fit

    ends: list[float] = []

    class Stopwatch(Callback):
        def on_train_batch_end(self, *args: Any) -> None:
            ends.append(time.perf_counter())

        def on_train_end(self, *args: Any) -> None:
            raise KeyboardInterrupt  # the test is not timed

    quiet_libraries()
    arguments = split_arguments([str(file)])
    parsed = ExperimentCLI(arguments.files, arguments.options)
    fit(
        parsed.experiment(arguments),
        lambda callbacks, *rest: parsed.build_trainer([*callbacks, Stopwatch()], *rest),
    )
    return ends


def time_loop(file: Path, *, tuned: bool, steps: int) -> list[float]:
    """Moments at which the plain loop was done with each batch."""
    from clothing_lightning.cli.malloc import keep_freed_memory

    if tuned:
        keep_freed_memory()
    import torch
    from torch import nn

    model, batches = built(file)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if tuned:
        torch.set_float32_matmul_precision("high")
    mixed = torch.autocast(
        "cuda", torch.bfloat16, enabled=tuned and device.type != "cpu"
    )
    model = model.to(device)
    optimizer = model.configure_optimizers()
    loss_of = nn.CrossEntropyLoss(model.class_weights)
    in_memory = [
        (prepared(images, tuned).to(device), labels.to(device))
        for images, labels, _ in islice(batches, BATCHES_IN_MEMORY)
    ]
    del batches  # and with it the workers
    ends = []
    for images, labels in islice(cycle(in_memory), WARMUP + steps):
        with mixed:
            loss = loss_of(model.network(images), labels)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        loss.item()  # a GPU is done only now
        ends.append(time.perf_counter())
    return ends


def built(file: Path) -> "tuple[ClothingClassifier, Iterator[Batch]]":
    """The classifier of the experiment and its normalised training batches."""
    from clothing_lightning.cli.experiment import ExperimentCLI
    from clothing_lightning.cli.third_party_warnings import quiet_libraries

    quiet_libraries()
    cli = ExperimentCLI([file], ["--trainer.accelerator=cpu"])
    data = cli.datamodule
    data.setup("fit")
    loaded = iter(data.train_dataloader())
    return cli.model, (data.on_after_batch_transfer(batch, 0) for batch in loaded)


def prepared(images: "torch.Tensor", tuned: bool) -> "torch.Tensor":
    """Images as the loop has them: channels innermost, or as torch has them."""
    import torch

    order = torch.channels_last if tuned else torch.contiguous_format
    return images.contiguous(memory_format=order)


def time_loader(file: Path, steps: int) -> list[float]:
    """Moments at which the loader gave each batch."""
    _, batches = built(file)
    return [time.perf_counter() for _ in islice(batches, WARMUP + steps)]


def measure(args: argparse.Namespace) -> None:
    """Measure one variant, in this process, and write down what came out."""
    import yaml

    file = Path("throughput.yaml").resolve()
    file.write_text(yaml.safe_dump(experiment(args)))
    if args.variant == "fit":
        ends = time_fit(file)
    elif args.variant == "loader":
        ends = time_loader(file, args.steps)
    else:
        ends = time_loop(file, tuned=args.variant == "bare", steps=args.steps)
    assert len(ends) == WARMUP + args.steps, f"{len(ends)} batches: too few images"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result = {"images_per_s": images_per_s(ends, args.batch_size), "peak_mb": peak}
    args.result.write_text(json.dumps(result))


def run_alone(variant: str, words: list[str]) -> dict[str, float]:
    """Measure a variant in a process of its own, in a folder of its own."""
    environment = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
    if root := environment.get("CLOTHING_DATA"):
        environment["CLOTHING_DATA"] = str(Path(root).resolve())
    # So that the progress bar is drawn as for a person.
    environment |= {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "100"}
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        command = [sys.executable, __file__, *words]
        command = [
            str(Path(command[1]).resolve()) if w == __file__ else w for w in command
        ]
        command += ["--variant", variant, "--result", str(result)]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True
        )
        if done.returncode:
            sys.exit(f"{variant} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        given: dict[str, float] = json.loads(result.read_text())
    return given


def main() -> None:
    """Measure all variants in turns, and print the medians."""
    args = arguments()
    if args.variant:
        measure(args)
        return
    start = time.perf_counter()
    words = [
        word
        for name in ("backbone", "batch_size", "image_size", "steps", "data")
        for word in (f"--{name.replace('_', '-')}", str(getattr(args, name)))
    ]
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in VARIANTS}
    for number in range(args.rounds):
        for variant, results in rounds.items():
            results.append(run_alone(variant, words))
            rate = results[-1]["images_per_s"]
            print(f"round {number + 1}  {variant:8} {rate:7.1f} images/s", flush=True)
    report(args, rounds, time.perf_counter() - start)


def report(
    args: argparse.Namespace, rounds: dict[str, list[dict[str, float]]], took_s: float
) -> None:
    """Print medians, ratios, and what was compared."""
    rates, peaks = (
        {k: statistics.median(r[what] for r in v) for k, v in rounds.items()}
        for what in ("images_per_s", "peak_mb")
    )
    cores = len(os.sched_getaffinity(0))
    print(
        f"\n{args.backbone}, batches of {args.batch_size} at {args.image_size} px, "
        f"{args.data}, {cores} cores: medians of {args.rounds} rounds of {args.steps} "
        f"steps after {WARMUP} ({took_s:.0f} s in all)"
    )
    for variant in VARIANTS:
        print(
            f"{variant:8} {rates[variant]:7.1f} images/s, peak {peaks[variant]:,.0f} MB"
        )
    ratio = rates["fit"] / rates["bare"]
    verdict = "reached" if ratio >= TARGET else "missed"
    print(f"fit / bare    {ratio:.2f}  (target {TARGET}: {verdict})")
    print(f"fit / default {rates['fit'] / rates['default']:.2f}")
    print(f"loader / fit  {rates['loader'] / rates['fit']:.1f}")


if __name__ == "__main__":
    main()
