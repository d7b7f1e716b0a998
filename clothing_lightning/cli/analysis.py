"""What `analyze` does once its options are known to be sound."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from clothing_lightning.cli.malloc import keep_freed_memory
from clothing_lightning.errors import ConfigError, StorageError, UserError
from clothing_lightning.models.backbones import (
    check_backbone,
    create_on_meta,
    create_untrained,
    input_size_of,
)
from clothing_lightning.network_analysis.advice import advice
from clothing_lightning.network_analysis.complexity import NetworkReport, analyze
from clothing_lightning.network_analysis.cross_check import cross_check
from clothing_lightning.network_analysis.latency import Latency, latency
from clothing_lightning.network_analysis.variants import appended
from clothing_lightning.reports.analysis_page import analysis_page
from clothing_lightning.reports.analysis_text import as_json, layer_table, show
from clothing_lightning.reports.complexity import cost_figure
from clothing_lightning.reports.style import save
from clothing_lightning.wording import closest, one_line

BATCH = 32


def analyze_backbones(
    options: argparse.Namespace, sizes: Sequence[tuple[int, int]]
) -> None:
    """Analyse networks of timm, print what comes out and write it to files.

    Args:
        options: Options of the command, which are sound and fit together.
        sizes: Heights and widths in pixels; if there is none, each network's own.

    Raises:
        UserError: If a network or a layer cannot be had, or a file not be written.
    """
    append = appended(options.append) if options.append else None
    for backbone in options.backbone:
        check_backbone(backbone, "backbone")
    reports, notes = [], {}
    for backbone in options.backbone:
        for size in sizes or [input_size_of(backbone)[1:]]:
            try:
                network = create_on_meta(backbone, size)
                _require_layer(options.truncate, backbone, network)
                report = analyze(
                    *(network, size),
                    name=backbone,
                    until=options.truncate,
                    append=append,
                )
            except UserError:
                raise
            except Exception as err:  # whatever the network raises
                raise ConfigError(
                    f"{backbone}: cannot be analysed for images of {size[0]} x "
                    f"{size[1]} px ({one_line(err)[:200]}). Try its own size (leave "
                    "--image-size out) or another."
                ) from err
            reports.append(report)
            if options.cross_check:
                notes[report.title] = _cross_checked(report, network)
    timed = _latencies(reports, options.batch or BATCH) if options.latency else []
    if options.json:
        for report in reports:
            line = as_json(report, timed, notes.get(report.title, ()))
            sys.stdout.write(line + "\n")
    else:
        show(reports, notes, timed, every_layer=options.layers)
    _write(options, reports, notes)


def _require_layer(layer: str | None, backbone: str, network: nn.Module) -> None:
    names = [name for name, _ in network.named_modules()]
    if layer is not None and layer not in names:
        raise ConfigError(
            f"--truncate: {backbone} has no layer {layer!r}.{closest(layer, names)} "
            "--layers shows all."
        )


def _cross_checked(report: NetworkReport, network: nn.Module) -> list[str]:
    try:
        return cross_check(report, network)
    except RuntimeError as err:
        return [
            f"the MACs could not be counted by others as well ({one_line(err)[:200]})."
        ]


def _latencies(reports: Sequence[NetworkReport], batch: int) -> list[Latency]:
    keep_freed_memory()
    networks = {r.title: create_untrained(r.name, r.image_size) for r in reports}
    sizes = {report.title: report.image_size for report in reports}
    return latency(networks, sizes, (1, batch), channels_last=True)


def _write(
    options: argparse.Namespace,
    reports: Sequence[NetworkReport],
    notes: dict[str, list[str]],
) -> None:
    try:
        if options.csv:
            layer_table(reports).to_csv(options.csv, index=False)
        if options.plot:
            save(cost_figure(reports), Path(options.plot))
        if options.html:
            advices = {report.title: advice(report) for report in reports}
            page = analysis_page(reports, advices, notes)
            Path(options.html).write_text(page, encoding="utf-8")
    except OSError as err:
        raise StorageError(
            f"{err.filename or 'the report'}: cannot be written ({err.strerror}). "
            "Check the folder and its permissions."
        ) from err
