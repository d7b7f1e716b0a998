"""Test the network of a run again, on its own images or on others."""

import argparse
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING

from clothing_lightning.cli.command import CommandParser, run_command
from clothing_lightning.data.label_mapping import parse_map
from clothing_lightning.errors import ConfigError, RunError, UserError

if TYPE_CHECKING:
    from clothing_lightning.inference.evaluation import Evaluation, ImageSet
    from clothing_lightning.tracking.read import StoredRun
    from clothing_lightning.tracking.run import RunWriter

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
    from clothing_lightning.cli.third_party_warnings import quiet_libraries

    quiet_libraries()
    from clothing_lightning.cli.malloc import keep_freed_memory
    from clothing_lightning.inference.checkpoint import find_files, restore, run_called
    from clothing_lightning.inference.evaluation import evaluate_on, read_manifest
    from clothing_lightning.inference.evaluation_run import record_evaluation

    keep_freed_memory()
    run = run_called(names[0])
    files = find_files(names[0])
    model = restore(files, options.device)
    images = _images(run, names[1:], flags, options.split, model.crops_to_boxes)
    evaluation = evaluate_on(
        model,
        images,
        read_manifest(run),
        label_map=label_map,
        keep_trained=options.keep_trained,
        batch_size=options.batch,
    )
    experiment = options.experiment or images.name
    kept = record_evaluation(
        run,
        model,
        images,
        evaluation,
        checkpoint=files.checkpoint,
        experiment=experiment,
        name=options.name or _title(run, images),
        command=words,
    )
    _show(run, images, evaluation, kept, experiment)
    return 0


def _images(
    run: "StoredRun",
    names: list[str],
    flags: list[str],
    split: str | None,
    crops_to_boxes: bool,
) -> "ImageSet":
    """The images that the words mean."""
    from clothing_lightning.inference.evaluation import images_of, own_images

    if not names:
        parser = CommandParser(allow_abbrev=False, add_help=False)
        parser.add_argument("--root")
        root = parser.parse_args(flags).root
        return own_images(
            run, split or "test", root=root, crops_to_boxes=crops_to_boxes
        )
    from clothing_lightning.cli.datasets import build_datamodule

    try:
        data, _ = build_datamodule(names, flags)
        divided = names[0].endswith((".yaml", ".yml")) or any(
            flag.startswith(("--split.", "--fold")) for flag in flags
        )
        return images_of(data, split, divided=divided)
    except UserError as err:
        # Advice is written for fit; here the options of the data stand by themselves.
        raise type(err)(_without_prefix(str(err))) from err


def _without_prefix(message: str) -> str:
    """Options without ``data.init_args.``; what stands in columns stays there."""
    in_columns = re.sub(
        r"data\.init_args\.(\S+)(?=  )", lambda found: found[1] + " " * 15, message
    )
    return in_columns.replace("data.init_args.", "")


def _title(run: "StoredRun", images: "ImageSet") -> str:
    if not images.own:
        return f"{run.name} on {images.name}"
    return f"{run.name}, {images.split} again"


def _show(
    run: "StoredRun",
    images: "ImageSet",
    evaluation: "Evaluation",
    kept: "RunWriter",
    experiment: str,
) -> None:
    """Print what was evaluated, the results, and what to do next."""
    from rich.markup import escape

    from clothing_lightning.reports.console import say, warn
    from clothing_lightning.reports.evaluation_text import results_table, show_table
    from clothing_lightning.tracking.store import where_to_browse

    say(escape(f"{run.name} ({run.run_id[:8]}) on {images.name}, {images.split}"))
    for remark in _remarks(images, evaluation):
        warn(escape(remark))
    show_table(results_table(evaluation.predictions, images.split))
    if images.own:
        for line in _against_stored(run, images, evaluation):
            say(line)
    say(escape(f"run       {kept.name}  {kept.run_id}"))
    say(escape(f"files     {kept.folder}"))
    say(f"browse    {where_to_browse()}")
    words = shlex.join(["--experiment", experiment])
    say(escape(f"compare   python -m clothing_lightning.compare {words}"))


def _remarks(images: "ImageSet", evaluation: "Evaluation") -> Iterator[str]:
    """What was left out or is odd about the images."""
    from clothing_lightning.reports.evaluation_text import counted, some

    labels = evaluation.labels
    if images.synthetic:
        yield "these images are drawn. Results say nothing about real photos."
    if images.refused:
        count = len(images.refused)
        yield (
            f"{count:,} image{'s' * (count > 1)} cannot be read and left out: "
            f"{some(list(images.refused.values()))}."
        )
    if images.changed:
        yield (
            f"{len(images.changed):,} images are not what they were when the run "
            f"tested them: {some(images.changed)}."
        )
    if labels.unmatched:
        yield (
            f"no class of the run is called {counted(labels.unmatched)}: left out. "
            "--map LABEL=CLASS says what they are."
        )
    if labels.absent:
        yield f"classes of the run without an image here: {some(labels.absent)}."
    if evaluation.trained:
        done = "count nevertheless" if evaluation.kept else "are left out"
        yield (
            f"{len(evaluation.trained):,} images have the content of some that the run "
            f"has learnt from or was chosen by, and {done}: {some(evaluation.trained)}."
        )


def _against_stored(
    run: "StoredRun", images: "ImageSet", evaluation: "Evaluation"
) -> Iterator[str]:
    """Whether the numbers are those that the run has stored."""
    import pandas as pd
    import torch

    from clothing_lightning.inference.repeatability import repeated
    from clothing_lightning.reports.evaluation_text import repeated_lines

    try:
        stored = pd.read_parquet(run.artifact(f"predictions/{images.split}.parquet"))
    except RunError:
        return
    except (OSError, ValueError) as err:  # pyarrow's own are of these
        yield f"the stored predictions cannot be read: {type(err).__name__}."
        return
    found = repeated(stored, evaluation.predictions)
    if found is None:
        return
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    now = {"torch": torch.__version__, "device": device}
    then = {
        "torch": run.tags.get("version.torch", ""),
        "device": run.tags.get("device", ""),
    }
    yield from repeated_lines(found, then, now)


if __name__ == "__main__":
    sys.exit(main())
