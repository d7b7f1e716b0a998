"""Runs as `compare` reads them, with predictions drawn at random."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clothing_lightning.comparison.pooling import pool
from clothing_lightning.comparison.predictions import Comparison, RunPredictions

EPOCHS = 6


def comparison(
    skills: Mapping[str, float],
    classes: Sequence[str],
    *,
    images: int = 300,
    seeds: Mapping[str, int] | None = None,
    splits: int = 1,
    validation: bool = True,
) -> Comparison:
    """Compare models that are drawn at random; the same arguments give the same one.

    Args:
        skills: By the name of the model how far the true class stands out, 0 or more.
        classes: Names of the classes; earlier ones have more images.
        images: Of each test set.
        seeds: Trainings of each model on each test set; 1 where it is not named.
        splits: Test sets, which overlap.
        validation: Whether runs have predictions of validation images.
    """
    rng = np.random.default_rng(0)
    manifest = _manifest(rng, classes, images * 2)
    hardness = rng.normal(0, 1, (len(manifest), len(classes)))
    runs = []
    for number, (name, skill) in enumerate(skills.items()):
        for seed in range((seeds or {}).get(name, 1)):
            for split in range(splits):
                chosen = np.roll(np.arange(len(manifest)), split * images // 2)
                parts = chosen[:images], chosen[images : images + images // 2]
                own = manifest.assign(split="train")
                for part, rows in zip(("test", "val"), parts, strict=True):
                    own.loc[rows, "split"] = part
                tables = [
                    _predictions(
                        rng, manifest.loc[np.sort(rows)], classes, skill, hardness
                    )
                    for rows in parts
                ]
                runs.append(
                    RunPredictions(
                        run_id=f"{number:04x}{seed:02x}{split:02x}" + "0" * 24,
                        name=f"{name}, seed {seed}",
                        hyperparameters={
                            "model.backbone": name,
                            "trainer.max_epochs": str(EPOCHS + number % 2),
                        },
                        seeds=f"seed {seed}, split seed {split}",
                        fold="",
                        predictions=tables[0],
                        manifest=own,
                        validation=tables[1] if validation else None,
                        metrics=_costs(number, skill),
                        history=_history(rng, skill),
                    )
                )
    return pool(runs)


def _manifest(
    rng: np.random.Generator, classes: Sequence[str], count: int
) -> pd.DataFrame:
    weights = 1 / np.arange(1, len(classes) + 1)
    labels = rng.choice(np.array(classes, object), count, p=weights / weights.sum())
    return pd.DataFrame(
        {
            "path": [f"images/{n:05}.jpg" for n in range(count)],
            "label": labels,
            "sha256": [f"{n:064x}" for n in range(count)],
            "kids": rng.random(count) < 0.15,
            "group": [f"sender {n}" for n in rng.geometric(0.12, count)],
            "width": rng.integers(300, 900, count),
            "height": rng.integers(300, 900, count),
        }
    )


def _predictions(
    rng: np.random.Generator,
    rows: pd.DataFrame,
    classes: Sequence[str],
    skill: float,
    hardness: NDArray[np.float64],
) -> pd.DataFrame:
    logits = hardness[rows.index] + rng.normal(0, 0.7, (len(rows), len(classes)))
    targets = pd.Index(list(classes), dtype=object).get_indexer(pd.Index(rows["label"]))
    logits[np.arange(len(rows)), targets] += skill
    powers = np.exp(1.6 * (logits - logits.max(axis=1, keepdims=True)))
    shares = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    table = rows[["path", "label"]].reset_index(drop=True)
    return pd.concat([table, pd.DataFrame(shares, columns=list(classes))], axis=1)


def _costs(number: int, skill: float) -> dict[str, float]:
    params = 1.1e6 * 1.7 ** (number % 7) * (1 + 0.07 * (number // 7))
    return {
        "model/params": params,
        "model/macs": params * 95,
        "model/size_mb": params * 4 / 1e6,
        "model/receptive_field_px": 299 + 32 * (number % 5),
        "train/time_s": 310 * skill + 40 * number,
    }


def _history(rng: np.random.Generator, skill: float) -> pd.DataFrame:
    epochs = np.arange(EPOCHS)
    reached = 1 - np.exp(-skill / 2 * (epochs + 1) ** 0.3)
    noise = rng.normal(0, 0.01, EPOCHS)
    return pd.DataFrame(
        {"val/accuracy": reached + noise, "val/loss": 2 * (1 - reached) - noise}
    )
