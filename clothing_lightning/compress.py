"""Make the network of a run smaller and faster, and test each version again."""

import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from clothing_lightning.cli.command import (
    CommandParser,
    require_run_first,
    run_command,
)
from clothing_lightning.errors import ConfigError

CONVERTED, PRUNED = ("float32", "float16", "int8"), ("pruned", "pruned-int8")
RUNGS = CONVERTED + PRUNED
IMPORTANCES = ("norm", "taylor", "random")
DESCRIPTION = """\
Writes the best network of a run in float32, float16 and int8 (ONNX), tests each
on the run's test images, and times them in turns on this CPU. If asked, it also
removes channels and trains what is left with the run's recipe. Each version is
a run of its own below that run, which compare ranks as any other. RUN is a
run's id, the start of it, its name, or a checkpoint's path. Called again, it
goes on where it was.

  ... compress b4ff3c49
  ... compress b4ff3c49 --rungs int8 --tolerance 0.005 --budget "10 ms"
  ... compress b4ff3c49 --target-macs 0.5 --epochs 10
"""
EPILOG = """\
int8: ranges of activations come from photos of the training. If more validation
accuracy is lost than --tolerance, the layers that lose most stay float32.

pruned: the channels that matter least are removed, and the network is a plain
one of fewer channels. norm: by the weights that they are made of and that use
them; taylor: by what the loss on photos of the training would change; random:
what the choice itself is worth. pruned-int8 is int8 of that.

Exit codes: 0 compressed; 2 something to put right (one message says what), or
no version keeps to the budget; 130 interrupted.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: Words after the command's name; by default those of the process.

    Returns:
        The exit code.
    """
    return run_command(argv, _parser().format_help(), _compress)


def _parser() -> CommandParser:
    parser = CommandParser(
        "compress", "RUN [...]", description=DESCRIPTION, epilog=EPILOG
    )
    add = parser.add_argument
    add(
        "--rungs",
        nargs="+",
        choices=RUNGS,
        metavar="RUNG",
        help=f"which versions: {', '.join(RUNGS)} (the first three)",
    )
    add(
        "--calibration-images",
        type=int,
        default=128,
        metavar="N",
        help="photos of the training that int8's ranges come from (128)",
    )
    add(
        "--calibration-method",
        choices=("minmax", "entropy", "percentile"),
        default="minmax",
        help="how a range follows from them (minmax)",
    )
    add(
        "--tolerance",
        type=float,
        default=0.01,
        metavar="SHARE",
        help="validation accuracy that int8 may lose (0.01)",
    )
    _add_pruning(parser)
    add(
        "--budget",
        metavar="COST",
        help="name the best version that keeps to '10 ms', '5 MB' or '100 M MACs'",
    )
    add("--root", metavar="FOLDER", help="where the run's own images are now")
    return parser


def _add_pruning(parser: CommandParser) -> None:
    group = parser.add_argument_group("pruning, which adds pruned and pruned-int8")
    amount = group.add_mutually_exclusive_group()
    amount.add_argument(
        "--pruning",
        type=float,
        metavar="SHARE",
        help="channels of each layer to remove, such as 0.3",
    )
    amount.add_argument(
        "--target-macs",
        type=float,
        metavar="SHARE",
        help="MACs that stay at most (0.5)",
    )
    add = group.add_argument
    add("--importance", choices=IMPORTANCES, help="which channels go first (norm)")
    add("--steps", type=int, metavar="N", help="find the importance N times (1)")
    add(
        "--epochs",
        type=int,
        metavar="N",
        help="of training afterwards (those of the run's recipe)",
    )


def _pruning(options: Namespace) -> dict[str, Any]:
    """Return what is said of pruning, as `Pruning` has it."""
    named = {
        "share": options.pruning,
        "target_macs": options.target_macs,
        "importance": options.importance,
        "steps": options.steps,
        "epochs": options.epochs,
    }
    given = {name: value for name, value in named.items() if value is not None}
    return {"target_macs": None, **given} if "share" in given else given


def _rungs(options: Namespace) -> Sequence[str]:
    """Return the rungs that are asked for.

    Raises:
        ConfigError: If pruning is described, and none of them is pruned.
    """
    amount = {"share", "target_macs"} & _pruning(options).keys()
    rungs = options.rungs or (RUNGS if amount else CONVERTED)
    if _pruning(options) and not {*rungs} & {*PRUNED}:
        raise ConfigError(
            "--pruning, --target-macs, --importance, --steps and --epochs say how the "
            "rungs pruned and pruned-int8 are made. Name one of them with --rungs, or "
            "say how much with --target-macs 0.5."
        )
    return rungs


def _compress(words: list[str]) -> int:
    require_run_first(words)
    options = _parser().parse_args(words[1:])
    from clothing_lightning.cli.malloc import keep_freed_memory
    from clothing_lightning.cli.third_party_warnings import quiet_libraries
    from clothing_lightning.comparison.budget import (
        Budget,
        Candidate,
        best_within,
        require_best,
    )
    from clothing_lightning.compression.ladder import LadderRequest, climb
    from clothing_lightning.compression.pruning import Pruning
    from clothing_lightning.compression.quantization import Quantization
    from clothing_lightning.reports.console import say
    from clothing_lightning.reports.ladder_text import show_ladder

    budget = Budget.parse(options.budget) if options.budget is not None else None
    quantization = Quantization(
        options.calibration_method, options.calibration_images, options.tolerance
    )
    pruning = Pruning(**_pruning(options))
    quiet_libraries()
    keep_freed_memory()
    rungs = climb(
        LadderRequest(
            run=words[0],
            rungs=_rungs(options),
            quantization=quantization,
            pruning=pruning,
            root=options.root,
            command=["python", "-m", "clothing_lightning.compress", *words],
        )
    )
    show_ladder(rungs)
    if budget:
        candidates = [Candidate(each.name, each.accuracy, each.costs) for each in rungs]
        answer = best_within(candidates, budget)
        require_best(answer)
        say(answer.sentence)
    return 0


if __name__ == "__main__":
    sys.exit(main())
