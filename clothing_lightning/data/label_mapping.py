"""Labels of one data set as classes of a network that was trained on another."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from clothing_lightning.errors import ConfigError, DataError
from clothing_lightning.wording import closest, listed


@dataclass(frozen=True)
class LabelMapping:
    """What the labels mean to a network.

    Attributes:
        classes: Class of each label that has one.
        unmatched: Images of each label that has none, most first.
        absent: Classes that no label means.
    """

    classes: dict[str, str]
    unmatched: dict[str, int]
    absent: list[str]


def parse_map(given: Sequence[str]) -> dict[str, str]:
    """Read words such as ``Tee=T-Shirt``: a label of the data, and the class it means.

    Raises:
        ConfigError: If one is malformed, or a label is given twice.
    """
    found: dict[str, str] = {}
    for text in given:
        label, equals, name = (part.strip() for part in text.partition("="))
        if not (label and equals and name):
            raise ConfigError(
                f"--map: {text!r} is not LABEL=CLASS, such as 'Tee=T-Shirt'."
            )
        if label in found:
            raise ConfigError(
                f"--map: {label!r} is given twice, as {found[label]!r} and {name!r}. "
                "Keep one."
            )
        found[label] = name
    return found


def map_labels(
    counts: Mapping[str, int], class_names: Sequence[str], given: Mapping[str, str]
) -> LabelMapping:
    """Map labels to classes: by what is given, else to the class of the same name.

    Args:
        counts: Images of each label.
        class_names: Of the network.
        given: Classes of labels that are called otherwise.

    Raises:
        ConfigError: If what is given names a label or class that there is not.
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
