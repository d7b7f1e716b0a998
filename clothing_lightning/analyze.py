"""Tell what a network sees and what it costs, without training or weights."""

import argparse
import re
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from clothing_lightning.cli.command import CommandParser, run_command
from clothing_lightning.errors import ConfigError, StorageError, UserError

if TYPE_CHECKING:
    from torch import nn

    from clothing_lightning.network_analysis.complexity import NetworkReport
    from clothing_lightning.network_analysis.latency import Latency

LARGEST_PX = 16384
PICTURES = (".png", ".svg", ".pdf")

EXAMPLES = """\
examples:
  ... analyze resnet18                       receptive field, MACs, costliest layers
  ... analyze resnet18 mobilenetv2_100 vit_small_patch16_224 --plot cost.png
                                             side by side, and a picture
  ... analyze resnet18 --layers              every layer; or --csv, --json, --html
  ... analyze resnet18 --image-size 128 224 256x192
                                             field and cost at other sizes
  ... analyze mobilenetv2_100 --truncate blocks.4.0
                                             the network up to that layer
  ... analyze mobilenetv2_100 \\
      --append "maxpool2d(kernel_size=2,stride=2) conv2d(kernel_size=3)"
                                             with these layers after its features
  ... analyze resnet18 efficientnet_b0 --latency
                                             and how long an image takes, measured here

Any timm model is a BACKBONE (python -c "import timm; print(timm.list_models())"). MACs
are multiply-accumulates for one image; FLOPs are twice the MACs.
Exit codes: 0 done, 2 something to put right (one message says what).
"""


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        "python -m clothing_lightning.analyze",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("backbone", nargs="+", help="timm's name, with or without a weight tag")
    add(
        "--image-size",
        nargs="+",
        metavar="PX",
        help="224, or height x width as 256x192; by default the backbone's own",
    )
    add("--truncate", metavar="LAYER", help="keep the network up to this layer")
    add("--append", metavar="LAYERS", help="put conv2d, maxpool2d, avgpool2d after")
    add("--layers", action="store_true", help="show every layer, not the costliest ten")
    add("--json", action="store_true", help="print one JSON object per backbone")
    add("--csv", metavar="FILE", help="write the table of layers")
    add("--html", metavar="FILE", help="write one page with tables and figures")
    add("--plot", metavar="FILE", help="write a picture (PNG, SVG, PDF)")
    add("--latency", action="store_true", help="measure milliseconds on this machine")
    add("--batch", type=int, default=32, help="second batch size to time (default 32)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: Words after the command's name; by default those of the process.

    Returns:
        The exit code.
    """
    parser = _parser()
    return run_command(
        argv, parser.format_help(), lambda words: _analyse(parser.parse_args(words))
    )


def _analyse(options: argparse.Namespace) -> int:
    from clothing_lightning.network_analysis.advice import advice
    from clothing_lightning.reports import analysis_text

    _check_files(options)
    reports, notes = [], {}
    for backbone in options.backbone:
        for size in _sizes(options, backbone):
            report, network = _report(options, backbone, size)
            reports.append(report)
            if not options.json:
                notes[report.title] = _notes(options, report, network)
    timed = _latencies(options, reports)
    if options.json:
        for report in reports:
            sys.stdout.write(analysis_text.as_json(report, timed) + "\n")
    else:
        analysis_text.show(reports, notes, timed, every_layer=options.layers)
    _write(options, reports, {r.title: advice(r) for r in reports}, notes)
    return 0


def _check_files(options: argparse.Namespace) -> None:
    """Refuse what could not be written before the work is done."""
    for option in ("csv", "html", "plot"):
        name = getattr(options, option)
        if name and not Path(name).resolve().parent.is_dir():
            raise StorageError(
                f"--{option}: there is no folder '{Path(name).parent}'. Make it, or "
                "write elsewhere."
            )
    if options.plot and Path(options.plot).suffix not in PICTURES:
        raise ConfigError(
            f"--plot: {options.plot!r} does not end in one of {', '.join(PICTURES)}."
        )


def _notes(
    options: argparse.Namespace, report: "NetworkReport", network: "nn.Module"
) -> list[str]:
    """What others count, where the network is that which they know."""
    if options.truncate or options.append:
        return []
    from clothing_lightning.network_analysis.cross_check import differences

    try:
        return differences(report, network).notes()
    except RuntimeError as err:
        reason = " ".join(str(err).split())
        return [f"the MACs could not be counted by others as well ({reason[:200]})."]


def _sizes(options: argparse.Namespace, backbone: str) -> list[tuple[int, int]]:
    from clothing_lightning.models.backbones import check_backbone, input_size_of

    check_backbone(backbone, "backbone")
    if options.image_size:
        return [_size(word) for word in options.image_size]
    return [input_size_of(backbone)[1:]]


def _size(word: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{1,5})(?:x([0-9]{1,5}))?", word)
    if not found or not all(0 < int(n) <= LARGEST_PX for n in found.groups() if n):
        raise ConfigError(
            f"--image-size: {word!r} is not a size in pixels. Write 224, or height x "
            f"width as 256x192, of at most {LARGEST_PX}."
        )
    return int(found[1]), int(found[2] or found[1])


def _report(
    options: argparse.Namespace, backbone: str, size: tuple[int, int]
) -> "tuple[NetworkReport, nn.Module]":
    from clothing_lightning.models.backbones import create_on_meta
    from clothing_lightning.network_analysis.complexity import analyse
    from clothing_lightning.network_analysis.variants import appended

    append = appended(options.append) if options.append else None
    try:
        network = create_on_meta(backbone, size)
        _require_layer(options.truncate, backbone, network)
        return (
            analyse(network, backbone, size, until=options.truncate, append=append),
            network,
        )
    except UserError:
        raise
    except Exception as err:  # whatever the network raises
        reason = " ".join(str(err).split()) or type(err).__name__
        raise ConfigError(
            f"{backbone}: cannot be analysed for images of {size[0]} x {size[1]} px "
            f"({reason[:200]}). Try its own size (leave --image-size out) or another."
        ) from err


def _require_layer(layer: str | None, backbone: str, network: "nn.Module") -> None:
    names = [name for name, _ in network.named_modules() if name]
    if layer is None or layer in names:
        return
    near = get_close_matches(layer, names, n=3) or names[:3]
    raise ConfigError(
        f"--truncate: {backbone} has no layer {layer!r}. Closest names: "
        f"{', '.join(near)}; --layers shows all."
    )


def _latencies(
    options: argparse.Namespace, reports: "list[NetworkReport]"
) -> "list[Latency]":
    if not options.latency:
        return []
    if options.truncate or options.append:
        raise ConfigError("--latency: leave out --truncate and --append.")
    if options.batch < 1:
        raise ConfigError(f"--batch is {options.batch}. The least is 1.")
    from clothing_lightning.cli.malloc import keep_freed_memory
    from clothing_lightning.models.backbones import create_untrained
    from clothing_lightning.network_analysis.latency import latency

    keep_freed_memory()
    networks = {r.title: create_untrained(r.name, r.image_size) for r in reports}
    sizes = {report.title: report.image_size for report in reports}
    return latency(networks, sizes, (1, options.batch), channels_last=True)


def _write(
    options: argparse.Namespace,
    reports: "list[NetworkReport]",
    advice: dict[str, str],
    notes: dict[str, list[str]],
) -> None:
    from clothing_lightning.reports import analysis_text

    try:
        if options.csv:
            analysis_text.layer_table(reports).to_csv(options.csv, index=False)
        if options.plot:
            from clothing_lightning.reports.complexity import cost_figure
            from clothing_lightning.reports.style import save

            save(cost_figure(reports), Path(options.plot))
        if options.html:
            from clothing_lightning.reports.analysis_page import analysis_page

            page = analysis_page(reports, advice, notes)
            Path(options.html).write_text(page, encoding="utf-8")
    except OSError as err:
        raise StorageError(
            f"{err.filename or 'the report'}: cannot be written ({err.strerror}). "
            "Check the folder and its permissions."
        ) from err


if __name__ == "__main__":
    sys.exit(main())
