"""Labels of one data set as classes of a network that was trained on another."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from clothing_lightning.errors import ConfigError, DataError
from clothing_lightning.wording import closest, listed


@dataclass(frozen=True)
class LabelMapping:
    """Which class of a network each label of a data set means.

    Attributes:
        classes: The class of each label that means one.
        unmatched: The number of images of each label that means no class, the most
            frequent label first.
        absent: The classes that no label means.
    """

    classes: dict[str, str]
    unmatched: dict[str, int]
    absent: list[str]


def parse_map(given: Sequence[str]) -> dict[str, str]:
    """Read words such as ``Tee=T-Shirt``: a label of the data, and the class it means.

    Raises:
        ConfigError: If a word is malformed, or a label is given twice.
    """
    classes: dict[str, str] = {}
    for text in given:
        label, equals, name = (part.strip() for part in text.partition("="))
        if not (label and equals and name):
            raise ConfigError(
                f"--map: {text!r} is not LABEL=CLASS, such as 'Tee=T-Shirt'."
            )
        if label in classes:
            raise ConfigError(
                f"--map: {label!r} is given twice, as {classes[label]!r} and "
                f"{name!r}. Keep one."
            )
        classes[label] = name
    return classes


def map_labels(
    counts: Mapping[str, int], class_names: Sequence[str], given: Mapping[str, str]
) -> LabelMapping:
    """Map labels to classes: by what is given, else to the class of the same name.

    Args:
        counts: The number of images of each label.
        class_names: The classes of the network.
        given: The class of each label that is called otherwise.

    Raises:
        ConfigError: If ``given`` names a label or class that does not exist.
        DataError: If no label has a class.
    """
    for label, name in given.items():
        _require(label, counts, "label of the data")
        _require(name, class_names, "class of the run")
    classes = {label: label for label in counts if label in class_names} | dict(given)
    if not classes:
        raise DataError(
            f"the data has the labels {_listed(counts)}, and the run the classes "
            f"{_listed(class_names)}: none in common. Say which means which, such as "
            f'--map "{next(iter(counts))}={class_names[0]}".'
        )
    unmatched = {label: n for label, n in counts.items() if label not in classes}
    return LabelMapping(
        dict(sorted(classes.items())),
        dict(sorted(unmatched.items(), key=lambda item: (-item[1], item[0]))),
        sorted(set(class_names) - set(classes.values())),
    )


def _require(name: str, names: Collection[str], what: str) -> None:
    if name not in names:
        hint = closest(name, names, cutoff=0.5) or f" There are {_listed(names)}."
        raise ConfigError(f"--map: {name!r} is no {what}.{hint}")


def _listed(names: Collection[str]) -> str:
    return listed(sorted(names), 8)
