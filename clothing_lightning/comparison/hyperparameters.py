"""Which settings make a model of a run, and how those of models differ."""

from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd

from clothing_lightning.comparison.predictions import RunPredictions
from clothing_lightning.tracking.names import without_repeat
from clothing_lightning.tracking.read import CHECKPOINT, StoredRun
from clothing_lightning.tracking.settings import CONTENT, FILES

SEED, SPLIT_SEED, FOLD = "seed_everything", "data.split.seed", "data.fold"
OF_THE_MACHINE = (
    *("data.num_workers", "data.root", "data.download"),
    *("trainer.accelerator", "trainer.devices", "trainer.num_nodes"),
    *("trainer.strategy", "trainer.enable_progress_bar", "trainer.default_root_dir"),
    *("trainer.logger", "trainer.enable_model_summary"),
    *("keep_freed_memory", "test_last"),
)
"""Settings that say where a training runs, not what is trained."""

_SETTINGS_IN_A_TITLE = 2


def compared_settings(run: StoredRun) -> dict[str, str]:
    """The settings that make a run's model; runs with the same are one model.

    Seeds and what says where a training runs are left out. Files are told by their
    content where the run has recorded it, else by their path. Of a fold it stays how
    many there are: so many leave so much to train on.
    """
    apart = {SEED, SPLIT_SEED, *OF_THE_MACHINE}
    settings = {k: v for k, v in run.hyperparameters.items() if k not in apart}
    for name in FILES:
        content = run.tags.get(f"{CONTENT}{name}")
        if content and name in settings:
            settings[name] = f"content {content}"
    if FOLD in settings:
        settings[FOLD] = f"one of {settings[FOLD].rpartition(' ')[2]}"
    return settings


def seeds_of(params: Mapping[str, str]) -> str:
    """Seeds of a run, such as ``seed 0, split seed 1``."""
    parts = {"seed": SEED, "split seed": SPLIT_SEED}
    return ", ".join(f"{n} {params[key]}" for n, key in parts.items() if key in params)


def titles(models: Sequence[Sequence[RunPredictions]]) -> list[str]:
    """A short title for each model, by its runs; none of them twice.

    It is the name that most of the runs have, without seeds; where several models have
    the same, with the settings that tell them apart, else with a run's id.
    """
    stems = [
        Counter(without_repeat(run.name) for run in runs).most_common(1)[0][0]
        for runs in models
    ]
    named = []
    for stem, runs in zip(stems, models, strict=True):
        alike = [
            others[0].hyperparameters
            for other, others in zip(stems, models, strict=True)
            if other == stem
        ]
        named.append(f"{stem}{_apart(runs[0].hyperparameters, alike)}")
    twice = {title for title, count in Counter(named).items() if count > 1}
    return [
        f"{title} {runs[0].run_id[:8]}" if title in twice else title
        for title, runs in zip(named, models, strict=True)
    ]


def _apart(settings: Mapping[str, str], alike: Sequence[Mapping[str, str]]) -> str:
    """The settings that tell a model from others of its name, if they are few."""
    keys = list(dict.fromkeys(key for each in alike for key in each))
    differing = [key for key in keys if len({each.get(key) for each in alike}) > 1]
    if not 0 < len(differing) <= _SETTINGS_IN_A_TITLE:
        return ""
    few = [
        f"{k.rpartition('.')[2]} {settings.get(k, 'unset')}"
        for k in differing
        if k != CHECKPOINT
    ]
    if len(few) < len(differing) and CHECKPOINT in settings:
        few.append(settings[CHECKPOINT])
    return f" ({', '.join(few)})" if few else ""


def differences(settings: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Settings, by the title of the model, that are not the same in all models.

    Returns:
        Settings in the index, titles in the columns; NaN where one is not set.
    """
    table = pd.DataFrame({title: dict(each) for title, each in settings.items()})
    return table[table.nunique(axis=1, dropna=False) > 1].sort_index()
