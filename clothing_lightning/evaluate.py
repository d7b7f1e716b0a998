"""Test the network of a run again, on its own images or on others."""

import re
import sys
from collections.abc import Sequence
from itertools import takewhile

from clothing_lightning.cli.command import (
    CommandParser,
    require_run_first,
    run_command,
)
from clothing_lightning.data.label_mapping import parse_map
from clothing_lightning.errors import ConfigError, UserError

DESCRIPTION = """\
Tests the best checkpoint of a run. Without further words: on its own test
split, and says whether the numbers are those that the run has stored, and which
images are not what they were. With a data set, or the data of an experiment: on
those images, with the preprocessing of the run. RUN is a run's id, the start of
it, its name, or the path of a checkpoint or of an exported ONNX file, which is
tested then.

  ... evaluate b4ff3c49
  ... evaluate b4ff3c49 --split val
  ... evaluate b4ff3c49 image_folder --root photos --map "Tee=T-Shirt"
  ... evaluate b4ff3c49 experiments/deepfashion/mobilenetv2.yaml
"""
EPILOG = """\
Options of the data set are those of prepare, such as --root FOLDER, --download
no, --table labels.csv, --split.seed 1; 'prepare DATASET --help' lists them.
Without a data set, --root says where the run's own images are now.

The result is a run of its own, with the predictions that compare reads. Exit
codes: 0 evaluated, whatever was found; 2 something to put right (one message
says what); 130 interrupted.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on these words, else the process's; return the exit code."""
    return run_command(argv, _parser().format_help(), _evaluate)


def _parser() -> CommandParser:
    parser = CommandParser(
        "evaluate",
        "RUN [--split test|val|all] [...]\n"
        "RUN DATASET [--KEY VALUE ...]\n"
        "RUN EXPERIMENT.yaml ... [--KEY VALUE ...]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    add = parser.add_argument
    add(
        "--split",
        choices=("test", "val", "all"),
        help="which images; by default test, but all of a data set that is named and "
        "comes with no split",
    )
    add(
        "--map",
        action="append",
        default=[],
        metavar="LABEL=CLASS",
        help="the run's class of a label that is called otherwise; images of labels "
        "without a class are left out",
    )
    add(
        *("--keep-trained", "--keep_trained"),
        action="store_true",
        help="do not leave out images that the run has learnt from, which are known "
        "by their content",
    )
    add("--name", help="name of the new run")
    add("--experiment", metavar="NAME", help="MLflow's experiment of the new run")
    add("--batch", type=int, default=32, metavar="N", help="images at once (32)")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto")
    return parser


def _evaluate(words: list[str]) -> int:
    require_run_first(words)
    names = list(takewhile(lambda word: not word.startswith("-"), words))
    options, flags = _parser().parse_known_args(words[len(names) :])
    if options.batch < 1:
        raise ConfigError(f"--batch is {options.batch}. The least is 1.")
    label_map = parse_map(options.map)
    from clothing_lightning.cli.datasets import build_datamodule
    from clothing_lightning.cli.malloc import keep_freed_memory
    from clothing_lightning.cli.third_party_warnings import quiet_libraries
    from clothing_lightning.inference.evaluation_run import Request, evaluate

    quiet_libraries()
    keep_freed_memory()
    request = Request(
        run=names[0],
        split=options.split,
        root=None if names[1:] else _root(flags),
        divided=_is_divided(names[1:], flags),
        label_map=label_map,
        keep_trained=options.keep_trained,
        batch_size=options.batch,
        device=options.device,
        name=options.name,
        experiment=options.experiment,
        command=words,
    )
    try:
        data = build_datamodule(names[1:], flags)[0] if names[1:] else None
        evaluate(request, data)
    except UserError as err:
        # Advice is written for fit; here the options of the data stand by themselves.
        raise type(err)(_without_prefix(str(err))) from err
    return 0


def _root(flags: list[str]) -> str | None:
    """Read the only flag of a data set that a run's own images need."""
    parser = CommandParser("evaluate", "RUN [...]")
    parser.add_argument("--root")
    root: str | None = parser.parse_args(flags).root
    return root


def _is_divided(names: list[str], flags: list[str]) -> bool:
    """Whether the words say how the data set is divided into splits."""
    return any(name.endswith((".yaml", ".yml")) for name in names) or any(
        flag.startswith(("--split.", "--fold")) for flag in flags
    )


def _without_prefix(message: str) -> str:
    """Options without ``data.init_args.``; what stands in columns stays there."""
    in_columns = re.sub(
        r"data\.init_args\.(\S+)(?=  )", lambda match: match[1] + " " * 15, message
    )
    return in_columns.replace("data.init_args.", "")


if __name__ == "__main__":
    sys.exit(main())
