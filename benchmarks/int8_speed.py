"""Why one int8 file is fast and another slow: EfficientNet-Lite0 in ONNX Runtime.

Each variant differs from ours in one thing; all are timed in turns. Weights are random,
since time does not depend on them.

    python -m benchmarks.int8_speed
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnxruntime import quantization as ort

from clothing_lightning.compression.onnx_export import export_onnx
from clothing_lightning.compression.photo_sample import PhotoSample
from clothing_lightning.compression.quantization import Quantizer, Reader, quiet
from clothing_lightning.data.options import Preprocessing
from clothing_lightning.inference.onnx_network import open_session
from clothing_lightning.inference.trained_network import build_network
from clothing_lightning.models.description import NetworkDescription

BACKBONE, SIZE, THREADS = "tf_efficientnet_lite0", 224, 2
ROUNDS = {1: 40, 32: 8}


def main() -> None:
    """Make the files, time them in turns, and print how they compare with float32."""
    with tempfile.TemporaryDirectory() as name:
        calls = variants(Path(name))
        print(f"{BACKBONE}, {SIZE} px, {THREADS} threads; median ms, ratio to float32")
        for batch, rounds in ROUNDS.items():
            images = np.random.default_rng(0).normal(size=(batch, 3, SIZE, SIZE))
            times = timed(calls, images.astype(np.float32), rounds)
            for variant, taken in times.items():
                ratio = times["float32"] / taken
                print(f"batch {batch:2}  {variant:44} {taken:8.1f}  {ratio:5.2f} x")


def variants(folder: Path) -> dict[str, Callable[[np.ndarray], object]]:
    """Return a call for each variant, by what sets it apart."""
    description = NetworkDescription(BACKBONE, ["a", "b"], Preprocessing(SIZE))
    model = build_network(description, None, torch.device("cpu"))
    float32 = folder / "float32.onnx"
    export_onnx(model, float32)
    photos = torch.randint(0, 256, (8, SIZE, SIZE, 3), dtype=torch.uint8)
    sample = PhotoSample(model, photos, np.zeros(8, np.intp))
    quantizer = Quantizer(float32, folder, "minmax", sample)
    files = {"float32": float32, "int8, as compress makes it": folder / "ours.onnx"}
    quantizer.write(folder / "ours.onnx")
    others: dict[str, dict[str, object]] = {
        "int8, activations int8 instead of uint8": {
            "activation_type": ort.QuantType.QInt8
        },
        "int8, convolutions alone": {"op_types_to_quantize": ["Conv"]},
        "int8, operators of their own (QOperator)": {
            "quant_format": ort.QuantFormat.QOperator
        },
    }
    for number, (label, options) in enumerate(others.items()):
        files[label] = folder / f"{number}.onnx"
        settings = {
            "per_channel": True,
            "activation_type": ort.QuantType.QUInt8,
            "weight_type": ort.QuantType.QInt8,
        } | options
        with quiet():
            ort.quantize_static(
                folder / "prepared.onnx",
                files[label],
                Reader(sample.batches(1)),
                **settings,
            )
    label = "int8, ranges found at each call (dynamic)"
    files[label] = folder / "dynamic.onnx"
    with quiet():
        ort.quantize_dynamic(folder / "prepared.onnx", files[label])
    calls: dict[str, Callable[[np.ndarray], object]] = {
        label: partial(run, open_session(file, THREADS))
        for label, file in files.items()
    }
    ours = folder / "ours.onnx"
    calls["int8, the file opened at each call"] = lambda images: run(
        open_session(ours, THREADS), images
    )
    return calls


def run(session: Any, images: np.ndarray) -> object:
    """Run a network."""
    return session.run(None, {"images": images})


def timed(
    calls: dict[str, Callable[[np.ndarray], object]], images: np.ndarray, rounds: int
) -> dict[str, float]:
    """Return the median time of each call in milliseconds."""
    times: dict[str, list[float]] = {label: [] for label in calls}
    for number in range(rounds + 2):
        for label, call in calls.items():
            begin = time.perf_counter()
            call(images)
            if number >= 2:  # the first two warm up
                times[label].append(1000 * (time.perf_counter() - begin))
    return {label: statistics.median(taken) for label, taken in times.items()}


if __name__ == "__main__":
    main()
