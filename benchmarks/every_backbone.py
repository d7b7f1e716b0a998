"""Analyse every architecture of timm: which fail, which operations are not known, time.

    python benchmarks/every_backbone.py [--json FILE] [NAME ...]

One process, no weights, each at its own input size.
"""

import argparse
import json
import resource
import statistics
import time
import traceback
from pathlib import Path
from typing import Any

import timm
from rich.progress import track

from clothing_lightning.models.backbones import create_on_meta, input_size_of
from clothing_lightning.network_analysis.complexity import analyze


def main() -> None:
    """Print the shares, the slowest ten and each failure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--json", type=Path, help="write all entries")
    options = parser.parse_args()
    names = options.names or timm.list_models()
    began = time.perf_counter()
    entries = {name: _try(name) for name in track(names, "analysing")}
    total_s = time.perf_counter() - began
    if options.json:
        options.json.write_text(json.dumps(entries, indent=1), encoding="utf-8")
    done = {name: entry for name, entry in entries.items() if "error" not in entry}
    known = [name for name, entry in done.items() if not entry["unknown_ops"]]
    times = {name: entry["seconds"] for name, entry in entries.items()}
    print(f"architectures           {len(names)}")
    print(f"with a report           {len(done)} ({len(done) / len(names):.2%})")
    print(f"no unknown operation    {len(known)} ({len(known) / len(names):.2%})")
    print(f"median time             {statistics.median(times.values()):.2f} s")
    print(f"all together            {total_s / 60:.1f} min")
    print(f"peak memory             {_peak_gib():.2f} GiB for the whole process")
    print("slowest:")
    for name in sorted(times, key=lambda name: -times[name])[:10]:
        print(f"  {times[name]:6.2f} s  {name}")
    for name, entry in entries.items():
        if entry.get("error") or entry.get("unknown_ops"):
            print(f"{name}: {entry.get('error') or entry['unknown_ops']}")


def _try(name: str) -> dict[str, Any]:
    size = input_size_of(name)[1:]
    began = time.perf_counter()
    try:
        report = analyze(create_on_meta(name, size), size, name=name)
    except Exception:
        reason = traceback.format_exc().strip().splitlines()[-1]
        return {"error": reason, "seconds": time.perf_counter() - began}
    field = report.field
    return {
        "seconds": time.perf_counter() - began,
        "image_size": size,
        "params": report.params,
        "macs": report.macs,
        "field": field.field
        and [field.field.size_px, field.field.stride_px, field.field.padding_px],
        "global_from": field.global_from,
        "unknown_ops": field.unknown_ops,
        "uniform": field.is_uniform,
    }


def _peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
