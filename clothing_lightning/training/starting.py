"""What a run records before its first step: configuration, data, circumstances."""

import json
import platform
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
import yaml

from clothing_lightning import __version__
from clothing_lightning.data.table import counts, digest, group_overlap
from clothing_lightning.datamodules import PhotoDataModule
from clothing_lightning.errors import DataError, StorageError, UserError
from clothing_lightning.reports.class_balance import class_counts_figure
from clothing_lightning.reports.console import say, warn
from clothing_lightning.reports.style import save
from clothing_lightning.tracking.run import RunWriter
from clothing_lightning.training.network_report import describe_network
from clothing_lightning.training.run_group import Series

if TYPE_CHECKING:
    from clothing_lightning.tracking.read import StoredRun
    from clothing_lightning.training.fitting import ExperimentCLI

NOT_PARAMS = ("run", "checkpoint.dirpath", "config")


def start_run(cli: "ExperimentCLI") -> RunWriter:
    """Start the run in MLflow, or continue one, and record what it is made of.

    Raises:
        StorageError: If it cannot be written.
        DataError: If a run is to be continued with other images.
    """
    options, data = cli.config.run, cli.datamodule
    if cli.past is not None:
        _require_same_images(cli.past, split_digest(data))
        if cli.past.status == "RUNNING":
            warn(
                f"{cli.past.name} is marked RUNNING. If another process still works on "
                "it, stop one of them."
            )
    name, experiment = options.name or cli.title, options.experiment or data.name
    series = Series.of_this_process()
    run = RunWriter(
        experiment,
        f"{name}, {series.variation}" if series else name,
        cli.past.run_id if cli.past else None,
        series.joined(experiment, name) if series else {},
    )
    say(f"Run {run.name} ({run.run_id}) in {run.folder}")
    try:
        _record_start(run, cli)
    except BaseException as err:
        run.finish("KILLED" if isinstance(err, KeyboardInterrupt) else "FAILED")
        if isinstance(err, OSError) and not isinstance(err, UserError):
            raise cannot_save(run, err) from err
        raise
    return run


def cannot_save(run: RunWriter, err: BaseException) -> StorageError:
    """Say that the machine refused to store what a run has made."""
    reason = (str(err).strip() or type(err).__name__).splitlines()[0]
    return StorageError(
        f"'{run.folder}': results could not be saved ({reason}). What was saved before "
        "is kept. Free some space or change the permissions; if there is a checkpoint, "
        f"continue with --resume {run.run_id[:8]}."
    )


def _record_start(run: RunWriter, cli: "ExperimentCLI") -> None:
    data = cli.datamodule
    config = cli.parser.dump(cli.config, skip_unset=False)
    params = flat_parameters(yaml.safe_load(config))
    changed = run.log_params(params)
    for key, (before, now) in changed.items():
        warn(f"Continuing with {key} = {now}; the run began with {before}.")
    run.set_tags(tags(data) | cli.config.run.tags)
    if cli.past is None:
        _write_config(run, config, cli.arguments.words)
        _write_data(run, data, cli.model.weight)
    else:
        file = run.folder / "config" / f"resumed-{cli.past.times_resumed + 1}.yaml"
        _write(file, config)
        run.publish(file)
    state = cli.model.network.state_dict().values()
    size_bytes = sum(tensor.numel() * tensor.element_size() for tensor in state)
    params = sum(parameter.numel() for parameter in cli.model.network.parameters())
    run.log_results({"model/params": params, "model/size_mb": size_bytes / 1e6})
    if cli.past is None:
        cli.recorder.network = describe_network(run, cli.model, data)


def _require_same_images(past: "StoredRun", digest_now: str) -> None:
    """Refuse to continue on other images: some of the test may have been learnt."""
    before = past.split_digest
    if before not in (None, digest_now):
        raise DataError(
            f"run {past.name}: began with other images or another split (digest "
            f"{before}, now {digest_now}). It would be tested on images that it has "
            "learnt from. Restore the data, or start a new run."
        )


def flat_parameters(config: Mapping[str, Any]) -> dict[str, str]:
    """Flatten a configuration into names and values that fit MLflow's table.

    ``data.init_args.batch_size`` becomes ``data.batch_size``, a class path the value of
    its own key, a list one value; unset options are left out.
    """
    flat: dict[str, str] = {}

    def add(key: str, value: Any) -> None:
        if isinstance(value, Mapping) and "class_path" in value:
            flat[key] = str(value["class_path"]).rpartition(".")[2]
            value = value.get("init_args") or {}
        if isinstance(value, Mapping):
            for name, inner in value.items():
                add(f"{key}.{name}" if key else str(name), inner)
        elif isinstance(value, list):
            flat[key] = json.dumps(value, ensure_ascii=False)
        elif value is not None:
            flat[key] = str(value)

    add("", {k: v for k, v in config.items() if k not in NOT_PARAMS})
    return {k: v for k, v in flat.items() if k not in NOT_PARAMS}


def split_digest(data: PhotoDataModule) -> str:
    """Fingerprint of all images, their labels and their splits."""
    return digest(data.table, ("path", "sha256", "label", "split"))


def tags(data: PhotoDataModule) -> dict[str, str]:
    """What tells runs apart that are not parameters."""
    test = data.part("test")
    found = {
        "split_digest": split_digest(data),
        "test_digest": digest(test, ("sha256", "label")),
        "host": platform.node(),
        "device": _device_name(),
        "threads": str(torch.get_num_threads()),
        "version.clothing_lightning": __version__,
        "version.python": platform.python_version(),
        "version.torch": torch.__version__,
        "synthetic": str(data.synthetic).lower(),
        "image_root": str(data.root.resolve()),
        "preprocessing": json.dumps(
            asdict(data.preprocessing) | {"boxes": data.crop_to_boxes}
        ),
    }
    commit = _git("rev-parse", "HEAD")
    return found | ({"git_commit": commit.strip()} if commit else {})


def _device_name() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def _git(*words: str) -> str:
    """Output of a git command in the working folder; empty where there is none."""
    try:
        done = subprocess.run(
            ["git", *words], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def _write_config(run: RunWriter, config: str, command: list[str]) -> None:
    folder = run.folder / "config"
    _write(folder / "config.yaml", config)
    words = ["python", "-m", "clothing_lightning.fit", *command]
    _write(folder / "command.txt", shlex.join(words) + "\n")
    versions = sorted(f"{d.name}=={d.version}" for d in distributions())
    _write(folder / "packages.txt", "\n".join(dict.fromkeys(versions)) + "\n")
    commit = _git("rev-parse", "HEAD")
    if commit:
        _write(folder / "git_commit.txt", commit)
        _write(folder / "git.diff", _git("diff", "HEAD"))
    run.publish(folder)


def _write_data(run: RunWriter, data: PhotoDataModule, weight: torch.Tensor) -> None:
    folder = run.folder / "data"
    folder.mkdir(parents=True, exist_ok=True)
    table = data.table
    manifest = pd.concat([table, data.selected.dropped.assign(split="dropped")])
    sizes = data.selected.inspected[["width", "height"]]
    manifest = manifest.join(sizes, on="path")
    manifest.to_csv(folder / "manifest.csv", index=False)
    per_class = counts(table)
    weights = pd.Series(weight.tolist(), data.class_names, name="weight")
    per_class.assign(weight=weights).to_csv(folder / "class_counts.csv")
    save(class_counts_figure(per_class, weights), folder / "class_counts.png")
    facts = data.source.findings | {
        f"share of {split} images whose group is in train": share
        for split, share in group_overlap(table).items()
    }
    _write(folder / "findings.json", json.dumps(facts, indent=2) + "\n")
    run.publish(folder)
    shown = table[["path", "label", "split", "sha256"]]
    run.log_dataset(data.name, shown, split_digest(data))
