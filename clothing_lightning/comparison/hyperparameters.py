"""What runs were made of: which settings make a recipe, how recipes differ."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from clothing_lightning.tracking.names import without_repeat

SEED, SPLIT_SEED, FOLD = "seed_everything", "data.split.seed", "data.fold"
CHECKPOINT = "checkpoint"
"""Setting of evaluations of another checkpoint than the best of a run."""

OF_THE_MACHINE = (
    *("data.num_workers", "data.root", "data.download"),
    *("trainer.accelerator", "trainer.devices", "trainer.num_nodes"),
    *("trainer.strategy", "trainer.enable_progress_bar", "trainer.default_root_dir"),
    *("trainer.logger", "trainer.enable_model_summary"),
    *("keep_freed_memory", "test_last"),
)
"""Settings that say where a training runs, not what is trained."""

_SETTINGS_IN_A_TITLE = 2


class Named(NamedTuple):
    """A run, as far as a title needs it."""

    name: str
    run_id: str
    recipe: Mapping[str, str]


def recipe_of(params: Mapping[str, str]) -> dict[str, str]:
    """Settings without seeds, and what only says where the training runs.

    Of a fold it stays how many there are: so many leave so much to train on.
    """
    apart = {SEED, SPLIT_SEED, *OF_THE_MACHINE}
    found = {key: value for key, value in params.items() if key not in apart}
    if FOLD in found:
        found[FOLD] = f"one of {found[FOLD].rpartition(' ')[2]}"
    return found


def seeds_of(params: Mapping[str, str]) -> str:
    """Seeds of a run, such as ``seed 0, split seed 1``."""
    parts = {"seed": SEED, "split seed": SPLIT_SEED}
    return ", ".join(f"{n} {params[key]}" for n, key in parts.items() if key in params)


def titles(models: Sequence[Sequence[Named]]) -> list[str]:
    """A short title for each model, none of them twice.

    Args:
        models: The runs of each, at least one.

    Returns:
        The name that most of its runs have, without seeds; where several models have
        the same, with the settings that tell them apart, else with a run's id.
    """
    stems = [
        Counter(without_repeat(run.name) for run in runs).most_common(1)[0][0]
        for runs in models
    ]
    found = []
    for stem, runs in zip(stems, models, strict=True):
        alike = [
            others[0].recipe
            for other, others in zip(stems, models, strict=True)
            if other == stem
        ]
        found.append(f"{stem}{_apart(runs[0].recipe, alike)}")
    twice = {title for title, count in Counter(found).items() if count > 1}
    return [
        f"{title} {runs[0].run_id[:8]}" if title in twice else title
        for title, runs in zip(found, models, strict=True)
    ]


def _apart(recipe: Mapping[str, str], alike: Sequence[Mapping[str, str]]) -> str:
    """The settings that tell a recipe from others of its name, if they are few."""
    keys = list(dict.fromkeys(key for each in alike for key in each))
    differing = [key for key in keys if len({each.get(key) for each in alike}) > 1]
    if not 0 < len(differing) <= _SETTINGS_IN_A_TITLE:
        return ""
    told = [f"{k.rpartition('.')[2]} {recipe.get(k, 'unset')}" for k in differing]
    return f" ({', '.join(told)})"


def differences(recipes: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Settings that are not the same in all recipes.

    Args:
        recipes: By title.

    Returns:
        Settings in the index, titles in the columns; NaN where one is not set.
    """
    table = pd.DataFrame({title: dict(recipe) for title, recipe in recipes.items()})
    return table[table.nunique(axis=1, dropna=False) > 1].sort_index()
