"""How long one image takes in the networks of runs, on this machine."""

import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from torch import nn

from clothing_lightning.comparison.costs import COSTS
from clothing_lightning.comparison.predictions import RunPredictions
from clothing_lightning.errors import UserError
from clothing_lightning.inference.checkpoint import untrained
from clothing_lightning.network_analysis.latency import latency
from clothing_lightning.wording import on_machine

if TYPE_CHECKING:
    from clothing_lightning.tracking.read import StoredRun


def time_networks(
    runs: "Sequence[StoredRun]", *, budget_s: float = 5.0
) -> tuple[dict[str, float], str, list[str]]:
    """Time the networks of runs in turns, each once, however many runs have it.

    Weights are random, so that runs need no checkpoint.

    Args:
        runs: Runs that have trained a network, or evaluations of such runs.
        budget_s: Seconds that the measurement of each network may take.

    Returns:
        By the id of the run the median time of one image in milliseconds; what they
        were measured on; and remarks about runs that could not be measured.
    """
    networks: dict[str, nn.Module] = {}
    sizes: dict[str, tuple[int, int]] = {}
    kinds: dict[str, str] = {}
    remarks = []
    for run in runs:
        try:
            model, kinds[run.run_id] = untrained(run)
        except UserError as err:
            remarks.append(f"No latency: {err}")
            continue
        side = model.preprocessing.image_size
        networks.setdefault(kinds[run.run_id], model.network)
        sizes[kinds[run.run_id]] = (side, side)
        device = model.device
    if not networks:
        return {}, "", remarks
    timed = latency(
        networks, sizes, (1,), device=str(device), channels_last=True, budget_s=budget_s
    )
    median_ms = {each.name: each.median_ms for each in timed}
    times = {run_id: median_ms[kind] for run_id, kind in kinds.items()}
    return times, on_machine(timed[0].device, timed[0].threads), remarks


def with_latencies(
    runs: Sequence[RunPredictions], stored: "Sequence[StoredRun]"
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
