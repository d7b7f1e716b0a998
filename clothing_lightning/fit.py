"""Train the model that a YAML file describes, test it, and log the whole run.

Nothing heavy is imported before the words on the command line are understood.
"""

import sys
from collections.abc import Sequence

from clothing_lightning.cli.command import Arguments, answered, split_arguments

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
    return answered(argv, HELP, lambda words: _fit(split_arguments(words)))


def _fit(arguments: Arguments) -> int:
    if arguments.variations:
        from clothing_lightning.training.fit_group import fit_several

        return fit_several(arguments)
    from clothing_lightning.training.fitting import fit

    return fit(arguments)


if __name__ == "__main__":
    sys.exit(main())
