"""What ONNX files take: time, in turns, and memory, in a process of its own."""

import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import torch

from clothing_lightning.inference.onnx_network import OnnxNetwork
from clothing_lightning.inference.trained_network import TrainedNetwork
from clothing_lightning.network_analysis.latency import latency

BATCHES = (1, 32)
BUDGET_S = 5.0  # for each file and batch size
_PEAK = """
import resource, sys
from pathlib import Path
import numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
images = numpy.zeros([int(word) for word in sys.argv[2:]], numpy.float32)
session.run(None, {"images": images})
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
status = Path("/proc/self/status")
if status.is_file():  # Linux: the number above begins with that of the parent
    peak = status.read_text().split("VmHWM:")[1].split()[0]
print(peak)
"""


def time_files(
    files: Mapping[str, Path], model: TrainedNetwork, *, budget_s: float = BUDGET_S
) -> dict[str, dict[str, float]]:
    """Measure what files of the same network take on this CPU.

    Args:
        files: The files by their names.
        model: The network, for the size of its images.
        budget_s: Time for each file and batch size, in seconds.

    Returns:
        For each file, as metrics of a run: the median and the 95th percentile of the
        time of one batch of 1 and of 32 images, in milliseconds; the threads; and the
        peak of the resident memory of a process that runs one batch of 1, in MB.
    """
    size = model.preprocessing.image_size
    channels = len(model.preprocessing.mean)
    networks = {name: OnnxNetwork(file) for name, file in files.items()}
    results: dict[str, dict[str, float]] = {
        name: {
            "model/latency_threads": torch.get_num_threads(),
            "model/peak_memory_mb": peak_memory_mb(file, (1, channels, size, size)),
        }
        for name, file in files.items()
    }
    for each in latency(networks, (size, size), BATCHES, budget_s=budget_s):
        ending = "" if each.batch == 1 else f"_batch{each.batch}"
        results[each.name] |= {
            f"model/latency{ending}_ms": each.median_ms,
            f"model/latency{ending}_p95_ms": each.p95_ms,
        }
    return {
        name: {key: value for key, value in costs.items() if not math.isnan(value)}
        for name, costs in results.items()
    }


def peak_memory_mb(file: Path, shape: tuple[int, ...]) -> float:
    """Measure the memory of a process that loads a file and runs one batch.

    Args:
        file: The ONNX file.
        shape: Shape of the batch, ``(N, C, H, W)``.

    Returns:
        Peak resident memory in MB, with Python, numpy and ONNX Runtime; NaN where the
        system does not say (Windows).
    """
    words = [sys.executable, "-c", _PEAK, str(file), *map(str, shape)]
    try:
        done = subprocess.run(words, capture_output=True, check=True, text=True)
    except subprocess.CalledProcessError:
        return math.nan
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return int(done.stdout) * unit / 1e6
