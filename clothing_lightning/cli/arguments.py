"""The words of a command line that trains: files, flags, and runs in several ways."""

from argparse import ArgumentTypeError, Namespace
from dataclasses import dataclass
from functools import partial
from itertools import product, takewhile
from pathlib import Path

from clothing_lightning.cli.command import CommandParser
from clothing_lightning.cli.registration import add_registration, registration_of
from clothing_lightning.errors import ConfigError
from clothing_lightning.tracking.registry import Registration
from clothing_lightning.training.run_group import GroupPlan, Variation
from clothing_lightning.wording import closest, one_line


@dataclass(frozen=True)
class Arguments(GroupPlan):
    """The words of a command line that trains.

    Attributes:
        resume: The id, name or start of the id of the run to continue.
        registration: Where the model of the run is registered; None: nowhere.
    """

    resume: str | None = None
    registration: Registration | None = None


COMMON_OPTIONS = {
    "--seed_everything 1": "weights, order, augmentation",
    "--data.init_args.root FOLDER": "where the images are",
    "--data.init_args.split.seed 1": "another random split",
    "--data.init_args.split.method grouped": "nobody's photos on both sides",
    "--data.init_args.split.fraction 0.1": "a tenth of the images",
    "--data.init_args.fold '2 of 5'": "one fold of a cross-validation",
    "--data.init_args.augmentation none|light|strong": "",
    "--data.init_args.num_workers 4": "processes that read images",
    "--model.init_args.backbone NAME": "a network of timm",
    "--model.init_args.weights hub|package|none|FILE": "",
    "--model.init_args.class_weights balanced|effective|none": "",
    "--trainer.max_epochs N": "",
    "--trainer.accelerator gpu": "",
    "--trainer.precision bf16-mixed": "",
    "--checkpoint.monitor val/accuracy": "what 'best' means",
    "--test_last true": "test the last checkpoint too",
    "--run.name NAME": "as shown in MLflow",
    "--run.experiment NAME": "as shown in MLflow",
    "--keep_freed_memory false": "glibc's thresholds, slower",
}
"""Options that people change most, with an example and what it does."""

_DESCRIPTION = """\
Trains the model that the experiment describes, tests its best checkpoint, and
logs metrics, predictions, reports and configuration to MLflow. Files are laid
over each other, later ones and then flags win:

  experiments/resnet18.yaml                       one experiment, as it is
  experiments/resnet18.yaml experiments/overlays/sample.yaml
                                                  on 480 packaged photos, short
  ... --trainer.max_epochs 5 --data.init_args.batch_size 16
"""
_EPILOG = """\
Runs go to mlruns/ below the working folder, or to MLFLOW_TRACKING_URI.
Exit codes: 0 done, 2 something to put right (one message says what),
130 interrupted.
"""


def fit_parser() -> CommandParser:
    """The parser of the options that `fit` has besides those of the experiment."""
    common = "\n".join(
        f"  {option:47} {text}".rstrip() for option, text in COMMON_OPTIONS.items()
    )
    parser = CommandParser(
        "fit",
        "FILE.yaml ... [--KEY VALUE ...]\n--resume RUN [--KEY VALUE ...]",
        description=_DESCRIPTION,
        epilog=f"options that people change most:\n{common}\n\n{_EPILOG}",
    )
    add = parser.add_argument
    add("--resume", metavar="RUN", help="continue a stopped run")
    add("--help-all", action="store_true", help="show every option there is")
    add("--print_config", action="store_true", help="show the resolved experiment")
    group = parser.add_argument_group(
        "several runs, children of one, with mean and standard deviation"
    )
    add = partial(group.add_argument, type=_whole_number, metavar="N")
    add("--folds", help="cross-validation, pooled")
    add("--seeds", nargs="+", help="the same split, other chance")
    add("--split_seeds", nargs="+", help="other splits as well")
    add_registration(parser)
    return parser


def _whole_number(word: str) -> int:
    if not word.isdecimal():
        raise ArgumentTypeError(f"{word!r} is not a whole number from 0")
    return int(word)


def split_arguments(words: list[str]) -> Arguments:
    """Tell files from flags, and check that the files are there.

    Raises:
        ConfigError: If a file is not there, neither file nor run is named, or a number
            of folds or a seed is none.
    """
    own, others = fit_parser().parse_known_args(words)
    files = [
        Path(word) for word in takewhile(lambda word: not word.startswith("-"), others)
    ]
    options = others[len(files) :]
    variations = _variations(own)
    if own.resume and variations:
        raise ConfigError(
            "--resume: runs go on as they began. Leave out --folds, --seeds and "
            "--split_seeds."
        )
    registration = registration_of(own)
    if registration and variations:
        raise ConfigError(
            "--register: of several runs none is the one. Leave it out, and register "
            f"one of them: export RUN --to mlflow {registration.flags}"
        )
    for file in files:
        _check_yaml(file)
    if not (files or own.resume or own.help_all or own.print_config):
        raise ConfigError(
            "no experiment is named. Give a YAML file, such as "
            "experiments/resnet18.yaml, before the flags."
        )
    options += ["--help"] * own.help_all + ["--print_config"] * own.print_config
    return Arguments(
        files,
        options,
        words,
        variations,
        own.folds or 0,
        own.resume,
        registration,
    )


def _variations(own: Namespace) -> list[Variation]:
    """One variation for each combination of fold and seeds; none without such flags."""
    if own.folds is not None and own.folds < 2:
        raise ConfigError(
            f"--folds: {own.folds} is given. Give one number from 2, such as --folds 5."
        )
    names = [f"{number} of {own.folds}" for number in range(1, (own.folds or 0) + 1)]
    axes = [
        [Variation(f"fold {name}", ["--data.init_args.fold", name]) for name in names],
        _seeded("split seed", "--data.init_args.split.seed", own.split_seeds),
        _seeded("seed", "--seed_everything", own.seeds),
    ]
    used = [axis for axis in axes if axis]
    return [
        Variation(
            ", ".join(part.name for part in parts),
            [word for part in parts for word in part.options],
        )
        for parts in product(*used)
        if parts
    ]


def _seeded(name: str, option: str, seeds: list[int] | None) -> list[Variation]:
    if seeds is not None and len(set(seeds)) < len(seeds):
        flag = f"--{name.replace(' ', '_')}s"
        raise ConfigError(f"{flag}: give different numbers, such as {flag} 0 1 2.")
    return [Variation(f"{name} {n}", [option, str(n)]) for n in seeds or []]


def _check_yaml(file: Path) -> None:
    if not file.is_file():
        raise ConfigError(f"{file}: there is no such file.{_near(file)}")
    import yaml  # not needed for the first word

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as err:
        raise ConfigError(f"{file}: cannot be read ({err.strerror}).") from err
    except (UnicodeDecodeError, yaml.YAMLError) as err:
        raise ConfigError(f"{file}: is not YAML in UTF-8 ({one_line(err)}).") from err
    if content is None:
        raise ConfigError(f"{file}: holds no keys. Write some, or leave it out.")
    if not isinstance(content, dict):
        raise ConfigError(
            f"{file}: holds a {type(content).__name__}, not keys such as data, model "
            "and trainer. See experiments/resnet18.yaml."
        )


def _near(file: Path) -> str:
    folder = file.parent if file.parent.is_dir() else Path("experiments")
    names = [str(p) for p in folder.glob("*.yaml")] if folder.is_dir() else []
    if hint := closest(str(folder / file.name), names, cutoff=0.5):
        return hint
    return f" '{folder}' has: {', '.join(sorted(names))}." if names else ""
