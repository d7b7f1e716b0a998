"""Train the model that a YAML file describes, test it, and log the whole run.

Nothing heavy is imported before the words on the command line are understood.
"""

import json
import sys
from collections.abc import Sequence

from clothing_lightning.cli.arguments import Arguments, split_arguments
from clothing_lightning.cli.command import run_command
from clothing_lightning.cli.third_party_warnings import quiet_libraries
from clothing_lightning.errors import EXIT_INTERRUPTED, ConfigError

HELP = """\
usage: python -m clothing_lightning.fit FILE.yaml [OVERLAY.yaml ...] [--KEY VALUE ...]
       python -m clothing_lightning.fit --resume RUN [FILE.yaml ...] [--KEY VALUE ...]

Trains the model that the experiment describes, tests its best checkpoint, and logs
metrics, predictions, reports and configuration to MLflow. Files are laid over each
other, later ones and then flags win:

  experiments/resnet18.yaml                             one experiment, as it is
  experiments/resnet18.yaml experiments/overlays/sample.yaml
                                                        the same on drawn images, short
  ... --trainer.max_epochs 5 --data.init_args.batch_size 16

Settings that people change most
  --seed_everything 1                                   weights, order, augmentation
  --data.init_args.root FOLDER                          where the images are
  --data.init_args.split.seed 1                         another random split
  --data.init_args.split.method grouped                 nobody's photos on both sides
  --data.init_args.split.fraction 0.1                   a tenth of the images
  --data.init_args.fold '2 of 5'                        one fold of a cross-validation
  --data.init_args.augmentation none|light|strong
  --data.init_args.num_workers 4
  --model.init_args.backbone NAME --model.init_args.weights hub|package|none|FILE
  --model.init_args.class_weights balanced|effective|none
  --trainer.max_epochs N  --trainer.accelerator gpu  --trainer.precision bf16-mixed
  --checkpoint.monitor val/accuracy                     what 'best' means
  --test_last true                                      test the last checkpoint as well
  --run.name NAME  --run.experiment NAME                as shown in MLflow
  --keep_freed_memory false                             glibc's own thresholds (slower)
  --resume RUN                                          continue a stopped run

Several runs of one experiment, as child runs of one, with mean and standard deviation
  --folds 5                                             cross-validation, folds pooled
  --seeds 0 1 2                                         the same split, other chance
  --split_seeds 0 1 2                                   other splits as well

  --help-all        every option there is
  --print_config    the resolved experiment, not run

Runs go to mlruns/ below the working folder, or where MLFLOW_TRACKING_URI points.
Exit codes: 0 done, 2 something to put right (one message says what), 130 interrupted.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: Words after the command's name; by default those of the process.

    Returns:
        The exit code.
    """
    return run_command(argv, HELP, lambda words: _fit(split_arguments(words)))


def _fit(arguments: Arguments) -> int:
    quiet_libraries()
    stored_run = None
    if arguments.resume:
        from clothing_lightning.tracking.read import find_run

        stored_run = find_run(arguments.resume, to_resume=True)
    group = stored_run.group if stored_run else None
    if arguments.variations or group:
        from clothing_lightning.training.fit_group import fit_group

        if stored_run is None or group is None:
            return fit_group(arguments)
        _require_nothing_else(stored_run.name, arguments)
        stored = json.loads(group)
        return fit_group(
            split_arguments(stored["words"]), stored_run.run_id, stored["digest"]
        )
    from clothing_lightning.cli.experiment import parse_experiment

    parsed = parse_experiment(arguments, stored_run.config if stored_run else None)
    # Here, since mlflow and matplotlib take seconds to import, and a mistake in the
    # experiment should be told before.
    from clothing_lightning.training.fitting import fit

    ended = fit(parsed.experiment(arguments), parsed.build_trainer, stored_run)
    return 0 if ended == "FINISHED" else EXIT_INTERRUPTED


def _require_nothing_else(name: str, arguments: Arguments) -> None:
    if arguments.files or arguments.options:
        raise ConfigError(
            f"--resume: {name} stands for several runs, which go on as they began. "
            "Leave out everything else."
        )


if __name__ == "__main__":
    sys.exit(main())
