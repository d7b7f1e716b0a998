"""Finished runs in a real store, with made-up predictions: nothing is trained."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from clothing_lightning.data.table import digest
from clothing_lightning.tracking.run import RunWriter, Status

CLASSES = ("Dress", "Hat", "Shirt")


def store_run(  # each is a trait of the run
    name: str,
    *,
    test: Sequence[int] = range(60),
    train: Sequence[int] = range(100, 130),
    skill: float = 2.0,
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
    status: Status = "FINISHED",
    experiment: str = "clothes",
    classes: Sequence[str] = CLASSES,
    root: Path | None = None,
) -> str:
    """Store a run that finds the true class the more often, the greater its skill.

    Returns:
        Its id.
    """
    manifest = pd.DataFrame(
        [
            (f"{n}.jpg", CLASSES[n % 3], f"{n:064x}", split, str(n % 2 == 0))
            for split, images in (("test", test), ("train", train))
            for n in images
        ],
        columns=["path", "label", "sha256", "split", "kids"],
    ).assign(width=30, height=40)
    tested = manifest[manifest["split"] == "test"]
    run = RunWriter(
        experiment,
        name,
        tags={
            "split_digest": digest(manifest, ("path", "sha256", "label", "split")),
            "test_digest": digest(tested, ("sha256", "label")),
            "image_root": str(root or ""),
            **(tags or {}),
        },
    )
    run.log_params({"seed_everything": "0", "model": name, **(params or {})})
    run.log_results({"model/params": 1e6, "model/macs": 1e9 / skill})
    predictions = _predictions(name, tested, skill, classes)
    for stage in ("test", "val"):
        file = run.folder / "predictions" / f"{stage}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        predictions.to_parquet(file, index=False)
    (run.folder / "data").mkdir()
    manifest.to_csv(run.folder / "data" / "manifest.csv", index=False)
    run.finish(status)
    return run.run_id


def _predictions(
    name: str, tested: pd.DataFrame, skill: float, classes: Sequence[str]
) -> pd.DataFrame:
    noise = np.random.default_rng(list(name.encode()))
    logits = noise.normal(size=(len(tested), len(classes)))
    places = [list(classes).index(label) for label in tested["label"]]
    logits[np.arange(len(tested)), places] += skill
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    table = tested[["path", "label"]].reset_index(drop=True)
    return table.join(pd.DataFrame(scores.astype(np.float32), columns=list(classes)))
