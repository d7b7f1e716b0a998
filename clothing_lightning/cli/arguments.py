"""The words of a command line that trains: files, flags, and runs in several ways."""

from dataclasses import dataclass
from difflib import get_close_matches
from itertools import product, takewhile
from pathlib import Path

from clothing_lightning.errors import ConfigError
from clothing_lightning.training.run_group import GroupPlan, Variation


@dataclass(frozen=True)
class Arguments(GroupPlan):
    """The words of a command line that trains.

    Attributes:
        resume: The id, name or start of the id of the run to continue.
    """

    resume: str | None = None


def split_arguments(words: list[str]) -> Arguments:
    """Tell files from flags, and check that the files are there.

    Raises:
        ConfigError: If a file is not there, or neither file nor run is named.
    """
    first_flag = next(
        (i for i, word in enumerate(words) if word.startswith("-")), len(words)
    )
    files = [Path(word) for word in words[:first_flag]]
    options = words[first_flag:]
    options, variations, folds = take_variations(options)
    resume = None
    if "--resume" in options:
        place = options.index("--resume")
        if place + 1 == len(options):
            raise ConfigError("--resume: name the run to continue.")
        resume = options[place + 1]
        rest = options[place + 2 :]
        later = next((i for i, w in enumerate(rest) if w.startswith("-")), len(rest))
        files += [Path(word) for word in rest[:later]]
        options = options[:place] + rest[later:]
    if resume and variations:
        raise ConfigError(
            "--resume: runs go on as they began. Leave out --folds, --seeds and "
            "--split_seeds."
        )
    for file in files:
        _check_yaml(file)
    asks = {"--help-all", "--print_config"} & set(options)
    if not (files or resume or asks):
        raise ConfigError(
            "no experiment is named. Give a YAML file, such as "
            "experiments/resnet18.yaml, before the flags."
        )
    options = ["--help" if word == "--help-all" else word for word in options]
    return Arguments(files, options, words, variations, folds, resume)


def take_variations(
    options: list[str],
) -> tuple[list[str], list[Variation], int]:
    """Take ``--folds``, ``--seeds`` and ``--split_seeds`` out of a command line.

    Returns:
        The other words, one variation for each combination (none if there is no such
        flag), and the number of folds.

    Raises:
        ConfigError: If a number of folds or a seed is none.
    """
    options, folds = _take(options, "--folds")
    options, split_seeds = _take(options, "--split_seeds")
    options, seeds = _take(options, "--seeds")
    if folds is not None and (len(folds) != 1 or folds[0] < 2):
        raise ConfigError(
            f"--folds: {' '.join(map(str, folds)) or 'no number'} is given. Give one "
            "number from 2, such as --folds 5."
        )
    count = folds[0] if folds else 0
    names = [f"{number} of {count}" for number in range(1, count + 1)]
    axes = [
        [Variation(f"fold {name}", ["--data.init_args.fold", name]) for name in names],
        _seeded("split seed", "--data.init_args.split.seed", split_seeds),
        _seeded("seed", "--seed_everything", seeds),
    ]
    used = [axis for axis in axes if axis]
    variations = [
        Variation(
            ", ".join(part.name for part in parts),
            [word for part in parts for word in part.options],
        )
        for parts in product(*used)
        if parts
    ]
    return options, variations, count


def _seeded(name: str, option: str, seeds: list[int] | None) -> list[Variation]:
    if seeds is not None and (not seeds or len(set(seeds)) < len(seeds)):
        flag = f"--{name.replace(' ', '_')}s"
        raise ConfigError(f"{flag}: give different numbers, such as {flag} 0 1 2.")
    return [Variation(f"{name} {n}", [option, str(n)]) for n in seeds or []]


def _take(options: list[str], flag: str) -> tuple[list[str], list[int] | None]:
    """Take a flag and the whole numbers after it out of a list of words."""
    options = [
        part
        for word in options
        for part in (word.split("=", 1) if word.startswith(f"{flag}=") else [word])
    ]
    if flag not in options:
        return options, None
    place = options.index(flag)
    values = list(takewhile(lambda word: word[:1] != "-", options[place + 1 :]))
    if odd := [value for value in values if not value.isdecimal()]:
        raise ConfigError(f"{flag}: {odd[0]!r} is not a whole number from 0.")
    rest = options[:place] + options[place + 1 + len(values) :]
    if flag in rest:
        raise ConfigError(f"{flag}: is given twice. Give all numbers after one.")
    return rest, [int(value) for value in values]


def _check_yaml(file: Path) -> None:
    if not file.is_file():
        raise ConfigError(f"{file}: there is no such file.{_near(file)}")
    import yaml  # not needed for the first word

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as err:
        raise ConfigError(f"{file}: cannot be read ({err.strerror}).") from err
    except (UnicodeDecodeError, yaml.YAMLError) as err:
        reason = " ".join(str(err).split())
        raise ConfigError(f"{file}: is not YAML in UTF-8 ({reason}).") from err
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
    near = get_close_matches(str(folder / file.name), names, n=3, cutoff=0.5)
    if near:
        return f" Closest: {', '.join(near)}."
    return f" '{folder}' has: {', '.join(sorted(names))}." if names else ""
