"""What tags say of a run's settings that its parameters cannot.

MLflow's parameters hold paths as they were typed, and never change. What the files
held stands in tags ``content.<parameter>``, and the settings that a resumed run went on
with in tags ``resumed.<parameter>``.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from clothing_lightning.tracking.run import MAX_PARAM_CHARACTERS

CONTENT = "content."
RESUMED = "resumed."
FILES = ("data.table", "data.corrections", "data.split.file")
"""Parameters that are paths of files which decide what a run is trained on."""


def content_tags(params: Mapping[str, str]) -> dict[str, str]:
    """Tags with the content of the files that a run's parameters name.

    Args:
        params: The parameters of the run, flat, such as ``data.table``.

    Returns:
        By ``content.<parameter>`` the first 16 hexadecimal digits of the SHA-256
        of each file; nothing for a parameter that is not set or names no file.
    """
    tags = {}
    for name in FILES:
        file = Path(params.get(name, "")).expanduser()
        if file.is_file():
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            tags[f"{CONTENT}{name}"] = content[:16]
    return tags


def resumed_tags(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Tags with the settings that change where a run is resumed.

    Args:
        before: The `StoredRun.hyperparameters` of the run that is resumed.
        now: The parameters that it goes on with.

    Returns:
        By ``resumed.<parameter>`` the new value of each that differs; an empty value
        for one that is no longer set.
    """
    names = before.keys() | now.keys()
    after = {name: now.get(name, "")[:MAX_PARAM_CHARACTERS] for name in names}
    return {
        f"{RESUMED}{name}": value
        for name, value in after.items()
        if value != before.get(name, "")
    }


def hyperparameters(
    params: Mapping[str, str], tags: Mapping[str, str]
) -> dict[str, str]:
    """The settings that a run ended with: its parameters, and what resuming changed."""
    settings = dict(params)
    for tag, value in tags.items():
        name = tag.removeprefix(RESUMED)
        if value and name != tag:
            settings[name] = value
        elif name != tag:
            settings.pop(name, None)
    return settings
