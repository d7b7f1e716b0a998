"""Test the network of a run again, on its own images or on others."""

import argparse
import re
import sys
from collections.abc import Sequence
from itertools import takewhile

from clothing_lightning.cli.command import CommandParser, run_command
from clothing_lightning.data.label_mapping import parse_map
from clothing_lightning.errors import ConfigError, UserError

HELP = """\
usage: python -m clothing_lightning.evaluate RUN [--split test|val|all] [...]
       python -m clothing_lightning.evaluate RUN DATASET [--KEY VALUE ...]
       python -m clothing_lightning.evaluate RUN EXPERIMENT.yaml [OVERLAY.yaml ...]

Tests the best checkpoint of a run. Without further words: on its own test split, and
says whether the numbers are those that the run has stored, and which images are not
what they were. With a data set, or the data of an experiment: on those images, with
the preprocessing of the run. RUN is a run's id, the start of it, its name, or the path
of one of its checkpoints, which is tested then.

  ... evaluate b4ff3c49
  ... evaluate b4ff3c49 --split val
  ... evaluate b4ff3c49 image_folder --root photos --map "Tee=T-Shirt"
  ... evaluate b4ff3c49 experiments/deepfashion/mobilenetv2.yaml

Of this command
  --split test|val|all  which images; by default test, but all of a data set that
                        is named and comes with no split
  --map LABEL=CLASS     the run's class of a label that is called otherwise; images of
                        labels without a class are left out, and told
  --keep-trained        do not leave out images that the run has learnt from (those of
                        its train and val split, known by their content)
  --root FOLDER         where the images are now, if they were moved
  --name NAME           of the new run; --experiment NAME: of MLflow's experiment
  --batch N             images that go through the network at once (default 32)
  --device auto|cpu|cuda

Of the data set: the options of prepare, such as --root FOLDER, --download no,
--table labels.csv, --split.seed 1; 'prepare DATASET --help' lists them.

The result is a run of its own, with the predictions that compare reads. Exit codes: 0
evaluated, whatever was found; 2 something to put right (one message says what); 130
interrupted.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: Words after the command's name; by default those of the process.

    Returns:
        The exit code.
    """
    return run_command(argv, HELP, _evaluate)


def _own_flags(flags: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Take the flags of this command out of those of the data set."""
    own = CommandParser(allow_abbrev=False, add_help=False)
    add = own.add_argument
    add("--split", choices=("test", "val", "all"))
    add("--map", action="append", default=[])
    add("--keep-trained", "--keep_trained", action="store_true")
    add("--name")
    add("--experiment")
    add("--batch", type=int, default=32)
    add("--device", choices=("auto", "cpu", "cuda"), default="auto")
    return own.parse_known_args(flags)


def _evaluate(words: list[str]) -> int:
    if {"-h", "--help"} & set(words):
        sys.stdout.write(HELP)
        return 0
    names = list(takewhile(lambda word: not word.startswith("-"), words))
    if not names:
        raise ConfigError(f"{words[0]}: name the run before the flags.")
    options, flags = _own_flags(words[len(names) :])
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
    parser = CommandParser(allow_abbrev=False, add_help=False)
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
