"""Train the reference runs, and pack them for DVC.

python docs/reference_runs.py train build/reference   # hours; goes on where it stopped
python docs/reference_runs.py pack build/reference    # makes mlruns/ of them
dvc add mlruns && dvc push
"""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
SEEDS = (0, 1, 2)
LEFT_OUT = (
    "checkpoints",  # 14 to 41 MB a run
    "images",  # a confusion matrix each epoch
    "val_*.png",  # those of the test are there
    "*.jpg",  # sheets of photos
    "*.npz",
    "*.ckpt",  # where the pruned ones began
    "*.onnx",
)
MOST_MB = 45


class Reference(NamedTuple):
    """Runs of one experiment: three, each with weights of its own, folds, or one.

    Attributes:
        experiment: Its file below ``experiments/``.
        suffix: Of the runs' names, where flags make it another one.
        flags: Added to the command.
        folds: Of a cross-validation instead of seeds.
        own_splits: Whether each seed is of its split as well.
        compressed: Whether it is one run, with the rungs of its ladder.
    """

    experiment: str
    suffix: str = ""
    flags: tuple[str, ...] = ()
    folds: int = 0
    own_splits: bool = True
    compressed: bool = False

    def runs(self) -> dict[str, list[str]]:
        """Words of ``fit`` by the name of the run."""
        words = [f"experiments/{self.experiment}.yaml", *self.flags]
        stem = f"{self.experiment.rpartition('/')[2]}{self.suffix}"
        if self.folds:
            return {stem: [*words, "--folds", str(self.folds), "--run.name", stem]}
        if self.compressed:
            return {stem: [*words, "--run.name", stem]}
        return {
            f"{stem}-seed{seed}": [
                *words,
                *("--seed_everything", str(seed)),
                *("--data.init_args.split.seed", str(seed if self.own_splits else 0)),
                *("--run.name", f"{stem}-seed{seed}"),
            ]
            for seed in SEEDS
        }


FROZEN = "efficientnet_lite0_frozen"
REFERENCES = (
    Reference("efficientnet_lite0"),
    Reference("efficientnet_lite0_two_phase"),
    Reference(FROZEN),
    Reference(FROZEN, "_balanced", ("--model.init_args.class_weights", "balanced")),
    *(
        Reference(
            FROZEN, f"_{method}", ("--data.init_args.split.method", method), folds=5
        )
        for method in ("stratified", "grouped")
    ),
    # Its test images are the same whatever the split, and a manifest has 8 MB.
    Reference("fashion_mnist/small_cnn", own_splits=False),
    Reference("efficientnet_lite0", "-ladder", compressed=True),
    Reference(
        "fashion_mnist/small_cnn",
        "-ladder",
        ("--trainer.max_epochs", "10"),
        compressed=True,
    ),
)
LADDER = ("--target-macs", "0.5", "--epochs", "6")


def main() -> None:
    """Train or pack."""
    if len(sys.argv) != 3 or sys.argv[1] not in ("train", "pack"):
        sys.exit(__doc__)
    folder = Path(sys.argv[2])
    (train if sys.argv[1] == "train" else pack)(folder)


def train(folder: Path) -> None:
    """Make what is missing, in a store of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "experiments").exists():
        # So that commands are recorded as anybody would type them.
        (folder / "experiments").symlink_to(ROOT / "experiments")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": ""}
    if data := os.environ.get("CLOTHING_DATA"):
        environment["CLOTHING_DATA"] = str(Path(data).resolve())
    for reference in REFERENCES:
        for name, words in reference.runs().items():
            states = _states(folder, name)
            if "FINISHED" not in states.values():
                begun = [run for run in states if _has_checkpoint(folder, run)]
                words = ["--resume", begun[0]] if begun else words
                _run("fit", words, folder, environment)
            if reference.compressed:  # those that are there are only timed again
                _run("compress", [name, *LADDER], folder, environment)


def _run(
    command: str, words: list[str], folder: Path, environment: Mapping[str, str]
) -> None:
    line = [sys.executable, "-m", f"clothing_lightning.{command}", *words]
    subprocess.run(line, cwd=folder, env=environment, check=True)


def _states(folder: Path, name: str) -> dict[str, str]:
    """Status by id of the runs of a name, the newest first."""
    file = folder / "mlruns" / "mlflow.db"
    if not file.is_file():
        return {}
    with closing(sqlite3.connect(file)) as store:
        rows = store.execute(
            "SELECT run_uuid, status FROM runs WHERE name = ? ORDER BY start_time DESC",
            (name,),
        )
        return dict(rows.fetchall())


def _has_checkpoint(folder: Path, run: str) -> bool:
    artifacts = folder / "mlruns" / "artifacts" / run / "artifacts"
    return (artifacts / "checkpoints" / "last.ckpt").is_file()


def pack(folder: Path, target: Path = ROOT / "mlruns") -> None:
    """Make ``mlruns/`` of the finished reference runs, without their checkpoints."""
    source = folder / "mlruns"
    if target.exists():
        sys.exit(f"{target} is there. Move it away: what is in it would be lost.")
    runs = _finished(source)
    target.mkdir()
    here = f"{folder.absolute()}/"
    _pack_store(source / "mlflow.db", target / "mlflow.db", runs, here)
    for run in runs:
        artifacts = Path("artifacts") / run / "artifacts"
        if (source / artifacts).is_dir():
            ignore = shutil.ignore_patterns(*LEFT_OUT)
            shutil.copytree(source / artifacts, target / artifacts, ignore=ignore)
    for file in target.rglob("*"):
        if file.suffix == ".png":
            _reduce(file)
        elif file.parent.name == "config":  # a rung names the weights it began from
            text = file.read_text(encoding="utf-8")
            file.write_text(text.replace(here, ""), encoding="utf-8")
    _check(target, folder)
    contents = (file.read_bytes() for file in target.rglob("*") if file.is_file())
    # DVC keeps each content once, such as the manifest of runs on the same split.
    size = sum({hashlib.sha256(each).digest(): len(each) for each in contents}.values())
    sys.stdout.write(f"{len(runs)} runs, {size / 1e6:.1f} MB\n")
    if size > MOST_MB * 1e6:
        sys.exit(f"That is more than {MOST_MB} MB.")


def _finished(source: Path) -> list[str]:
    """Ids of the reference runs, and of the folds and rungs of those that have some."""
    found: list[str] = []
    for reference in REFERENCES:
        for name in reference.runs():
            states = _states(source.parent, name)
            done = [run for run, status in states.items() if status == "FINISHED"]
            if not done:
                sys.exit(f"{name} has not been trained: run train first.")
            found.append(done[0])
    with closing(sqlite3.connect(source / "mlflow.db")) as store:
        parents = ", ".join("?" * len(found))
        below = store.execute(
            "SELECT r.run_uuid FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid "
            f"WHERE t.key = 'mlflow.parentRunId' AND t.value IN ({parents}) "
            "AND r.status = 'FINISHED'",
            found,
        )
        return found + [run for (run,) in below]


def _pack_store(source: Path, target: Path, runs: list[str], here: str) -> None:
    """Copy the store with some of its runs, and nothing about the machine.

    Paths below the folder ``here`` become relative to it.
    """
    shutil.copy(source, target)
    kept = ", ".join("?" * len(runs))
    with closing(sqlite3.connect(target)) as store:
        for table in ("metrics", "latest_metrics", "params", "tags", "runs"):
            store.execute(f"DELETE FROM {table} WHERE run_uuid NOT IN ({kept})", runs)
        store.execute(f"DELETE FROM inputs WHERE destination_id NOT IN ({kept})", runs)
        for table in ("metrics", "latest_metrics"):
            store.execute(f"DELETE FROM {table} WHERE key LIKE 'system/%'")
        store.execute("DELETE FROM tags WHERE key = 'host'")
        store.execute("UPDATE params SET value = replace(value, ?, '')", (here,))
        roots = store.execute("SELECT DISTINCT value FROM tags WHERE key='image_root'")
        for (root,) in roots.fetchall():
            here = f"data/{Path(root).name}"
            store.execute(
                "UPDATE tags SET value = ? WHERE key = 'image_root' AND value = ?",
                (here, root),
            )
        store.execute("UPDATE datasets SET dataset_source = ?", (json.dumps({}),))
        store.execute("UPDATE experiments SET artifact_location = 'mlruns/artifacts'")
        store.commit()
        store.execute("VACUUM")


def _reduce(figure: Path) -> None:
    """Give a figure 256 colours, of which it has few more: a third of the bytes."""
    with Image.open(figure) as image:
        if image.mode == "P":  # of runs that were pulled
            return
        reduced = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    reduced.save(figure, optimize=True)


def _check(target: Path, folder: Path) -> None:
    """Refuse to pack what names a folder of this machine."""
    data = Path(os.environ.get("CLOTHING_DATA", "data"))
    places = (ROOT, Path.home(), data, folder)
    homes = {str(path) for at in places for path in (at.absolute(), at.resolve())}
    for file in target.rglob("*"):
        if file.is_file() and file.suffix != ".png":
            content = file.read_bytes()
            if named := [home for home in homes if home.encode() in content]:
                sys.exit(f"{file}: names {named[0]}. Leave it out or take it out.")


if __name__ == "__main__":
    main()
