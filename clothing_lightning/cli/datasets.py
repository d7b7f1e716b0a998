"""Which data set the words of a command line mean."""

import re
import shlex
from pathlib import Path
from typing import get_args, get_type_hints

from jsonargparse import Namespace

from clothing_lightning.cli.arguments import split_arguments
from clothing_lightning.cli.experiment import ExperimentCLI
from clothing_lightning.cli.parser import Parser
from clothing_lightning.datamodules import PhotoDataModule
from clothing_lightning.errors import ConfigError
from clothing_lightning.wording import closest

NOT_AUDITED = {
    *("sampling", "images_per_class", "augmentation", "preprocessing"),
    *("train_image_size", "batch_size", "on_unreadable", "seed"),
}


def build_datamodule(
    names: list[str], flags: list[str], *, fetch: bool = False
) -> tuple[PhotoDataModule, str]:
    """Build the data module that words mean; no image is read yet.

    Images that cannot be read will be left out.

    Args:
        names: The name of a data set, or the YAML files of an experiment.
        flags: Options of the data set, such as ``--root``, and their values.
        fetch: Whether data that is not there is downloaded, unless a flag says.

    Returns:
        The data module, and the command that trains on it.

    Raises:
        ConfigError: If there is no such data set, file or option.
    """
    flags = _with_values([_plain(flag) for flag in flags])
    data_flags = [_data_flag(flag) for flag in flags]
    if Path(names[0]).suffix in (".yaml", ".yml"):
        config = _Parsed(split_arguments(names).files, data_flags).config.data
        cls = _data_class(config.class_path.rpartition(".")[2])
        options, words = config.init_args, names
    elif len(names) > 1:
        raise ConfigError(
            f"{' '.join(names)}: one data set at a time. Options begin with two "
            "dashes, such as --root FOLDER."
        )
    else:
        cls = _data_class(names[0])
        options = _class_parser(cls).parse_args(flags)
        words = _experiment_of(cls.__name__)
    command = shlex.join([*words, *data_flags])
    data = _instance(cls, options, flags, fetch)
    return data, f"python -m clothing_lightning.fit {command}"


class _Parsed(ExperimentCLI):
    """An experiment of which nothing is built: the model is not needed."""

    def instantiate_classes(self) -> None:
        """Do nothing."""


def _experiment_of(name: str) -> list[str]:
    """The words that fit a network to a data set, by the name of its class."""
    if name == "Sample":
        return ["experiments/resnet18.yaml", "experiments/overlays/sample.yaml"]
    frozen = "experiments/efficientnet_lite0_frozen.yaml"
    if name == "ClothingDataset":
        return [frozen]
    if name == "ImageFolder":
        return [frozen, "experiments/overlays/image_folder.yaml"]
    return [frozen, "--data", name]


def print_options(name: str) -> None:
    """Print the help of a data set.

    Raises:
        ConfigError: If there is none of this name.
    """
    parser = _class_parser(_data_class(name), skip=NOT_AUDITED)
    parser.prog = f"python -m clothing_lightning.prepare {name}"
    parser.description = "Besides: --out FOLDER and --json; see prepare --help."
    parser.print_help()


def _plain(word: str) -> str:
    """The flag ``--drop-duplicates`` as ``--drop_duplicates``, and without prefix."""
    if not word.startswith("--"):
        return word
    key, equals, value = word.removeprefix("--").partition("=")
    return f"--{key.removeprefix('data.init_args.').replace('-', '_')}{equals}{value}"


def _with_values(flags: list[str]) -> list[str]:
    """Give the value true to flags that have none."""
    following = [*flags[1:], "--"]
    return [
        f"{word}=true"
        if word.startswith("--") and "=" not in word and after.startswith("--")
        else word
        for word, after in zip(flags, following, strict=False)
    ]


def _data_flag(flag: str) -> str:
    others = ("--data.", "--model.", "--trainer.", "--seed_everything")
    if not flag.startswith("--") or flag.startswith(others):
        return flag
    return f"--data.init_args.{flag.removeprefix('--')}"


def _data_class(name: str) -> type[PhotoDataModule]:
    classes = PhotoDataModule.__subclasses__()
    stems = {cls.__module__.rpartition(".")[2]: cls for cls in classes}
    known = {_letters(stem): cls for stem, cls in stems.items()}
    if cls := known.get(_letters(name)):  # image_folder, image-folder, ImageFolder
        return cls
    raise ConfigError(
        f"{name}: is no data set that is known here.{closest(name, stems)} There are "
        f"{', '.join(sorted(stems))}; or name the YAML file of an experiment."
    )


def _letters(name: str) -> str:
    return re.sub("[-_]", "", name).lower()


def _class_parser(cls: type[PhotoDataModule], skip: set[str] | None = None) -> Parser:
    parser = Parser()
    parser.add_class_arguments(cls, skip=skip)
    return parser


def _instance(
    cls: type[PhotoDataModule], options: Namespace, flags: list[str], fetch: bool
) -> PhotoDataModule:
    """List what cannot be read instead of stopping, and fetch unless told otherwise."""
    options.on_unreadable = "drop"
    asked = any(flag.startswith("--download") for flag in flags)
    if fetch and "download" in options and not asked:
        # The first choice is not to.
        choices = get_args(get_type_hints(cls.__init__)["download"]) or (False, True)
        if options.download == choices[0]:
            options.download = choices[1]
    return cls(**_class_parser(cls).instantiate(options).as_dict())
