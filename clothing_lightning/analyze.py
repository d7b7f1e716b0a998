"""Tell what a network sees and what it costs, without training or weights."""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from clothing_lightning.cli.command import CommandParser, run_command
from clothing_lightning.errors import ConfigError, StorageError

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
  ... analyze swin_tiny_patch4_window7_224 --cross-check
                                             and its MACs as torch and ptflops count

Any timm model is a BACKBONE (python -c "import timm; print(timm.list_models())"). MACs
are multiply-accumulates for one image; FLOPs are twice the MACs.
Exit codes: 0 done, 2 something to put right (one message says what).
"""


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        "analyze",
        "BACKBONE [...] [options]",
        description=__doc__ or "",
        epilog=EXAMPLES,
    )
    add = parser.add_argument
    add(
        "backbone",
        nargs="+",
        metavar="BACKBONE",
        help="timm's name, with or without a weight tag",
    )
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
    add(
        "--cross-check", action="store_true", help="count MACs by torch and ptflops too"
    )
    add("--latency", action="store_true", help="measure milliseconds on this machine")
    add("--batch", type=int, help="second batch size to time (default 32)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on these words, else the process's; return the exit code."""
    parser = _parser()
    return run_command(
        argv, parser.format_help(), lambda words: _analyze(parser.parse_args(words))
    )


def _analyze(options: argparse.Namespace) -> int:
    _check_options(options)
    _check_files(options)
    sizes = [_size(word) for word in options.image_size or ()]
    from clothing_lightning.cli.analysis import analyze_backbones

    analyze_backbones(options, sizes)
    return 0


def _check_options(options: argparse.Namespace) -> None:
    """Refuse what does not go together before anything is analysed."""
    for option in ("latency", "cross_check"):
        if getattr(options, option) and (options.truncate or options.append):
            raise ConfigError(
                f"--{option.replace('_', '-')} is of whole networks. Leave out "
                "--truncate and --append."
            )
    if options.batch is not None and not options.latency:
        raise ConfigError("--batch is of --latency, which is missing. Add it.")
    if options.batch is not None and options.batch < 1:
        raise ConfigError(f"--batch is {options.batch}. The least is 1.")


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


def _size(word: str) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{1,5})(?:x([0-9]{1,5}))?", word)
    if not match or not all(0 < int(n) <= LARGEST_PX for n in match.groups() if n):
        raise ConfigError(
            f"--image-size: {word!r} is not a size in pixels. Write 224, or height x "
            f"width as 256x192, of at most {LARGEST_PX}."
        )
    return int(match[1]), int(match[2] or match[1])


if __name__ == "__main__":
    sys.exit(main())
