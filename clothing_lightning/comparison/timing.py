"""How long one image takes in the networks of runs, on this machine."""

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import replace

from torch import nn

from clothing_lightning.comparison.costs import COSTS
from clothing_lightning.comparison.predictions import RunPredictions
from clothing_lightning.errors import RunError, UserError
from clothing_lightning.inference.checkpoint import describe_run, trained_run
from clothing_lightning.inference.onnx_network import read_onnx
from clothing_lightning.inference.trained_network import TrainedNetwork, build_network
from clothing_lightning.models.devices import select_device
from clothing_lightning.network_analysis.latency import latency
from clothing_lightning.tracking.read import COMPRESSION_TAG, ONNX_FILE, StoredRun
from clothing_lightning.wording import on_machine


def time_networks(
    runs: Sequence[StoredRun], *, budget_s: float = 5.0
) -> tuple[dict[str, float], str, list[str]]:
    """Time the networks of runs in turns, each once, however many runs have it.

    Weights are random, so that runs need no checkpoint; compressed networks are their
    ONNX files.

    Args:
        runs: Runs that have trained a network, or evaluations of such runs.
        budget_s: Time for each network, in seconds.

    Returns:
        The median time of one image in milliseconds by the id of the run; the machine
        that they were measured on; and remarks on runs that could not be measured.
    """
    networks: dict[str, nn.Module] = {}
    sizes: dict[str, tuple[int, int]] = {}
    structure_of: dict[str, str] = {}
    remarks = []
    for run in runs:
        try:
            model = _network(run)
        except UserError as err:
            remarks.append(f"No latency: {err}")
            continue
        side, about = model.preprocessing.image_size, model.description
        structure = run.run_id
        if COMPRESSION_TAG not in run.tags:
            key = [about.backbone, about.in_chans, len(about.class_names), side]
            structure = json.dumps([*key, about.shapes])
        structure_of[run.run_id] = structure
        networks.setdefault(structure, model.network)
        sizes[structure] = (side, side)
        device = model.device
    if not networks:
        return {}, "", remarks
    timed = latency(
        networks, sizes, (1,), device=str(device), channels_last=True, budget_s=budget_s
    )
    median_ms = {each.name: each.median_ms for each in timed}
    by_run = {run_id: median_ms[name] for run_id, name in structure_of.items()}
    return by_run, on_machine(timed[0].device, timed[0].threads), remarks


def with_latencies(
    runs: Sequence[RunPredictions], stored: Sequence[StoredRun]
) -> tuple[list[RunPredictions], str, list[str]]:
    """Measure the latencies of runs, and give them to the runs as a metric.

    Args:
        runs: The runs that are compared.
        stored: The same runs in the store, and maybe others.

    Returns:
        The runs, what they were measured on, and remarks about runs that could not be
        measured.
    """
    ids = {run.run_id for run in runs}
    sys.stderr.write("Measuring latency: about 5 s for each network.\n")
    times, machine, remarks = time_networks([r for r in stored if r.run_id in ids])
    timed = []
    for run in runs:
        took = {COSTS["latency_ms"].metric: times.get(run.run_id, math.nan)}
        timed.append(replace(run, metrics={**(run.metrics or {}), **took}))
    return timed, machine, remarks


def _network(run: StoredRun) -> TrainedNetwork:
    """Build the network of a run with random weights, or read its ONNX file.

    Raises:
        ConfigError: If timm here has no such network.
        RunError: If what the run has left is damaged, or is an ONNX file where the
            others are timed on a GPU.
    """
    device = select_device("auto")
    if COMPRESSION_TAG in run.tags:
        if device.type != "cpu":
            raise RunError(
                f"run {run.label}: is an ONNX file, which is timed on the CPU, while "
                f"the others are timed on {device.type}. Hide the GPU "
                "(CUDA_VISIBLE_DEVICES=) to time all on the CPU."
            )
        return read_onnx(run.artifact(ONNX_FILE))
    description = describe_run(trained_run(run))
    try:
        return build_network(description, None, device)
    except (RuntimeError, TypeError, AttributeError) as err:
        raise RunError(
            f"run {run.name} ({run.run_id[:8]}): its network cannot be built ({err}). "
            "Train it again with this software."
        ) from err
