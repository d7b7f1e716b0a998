"""What a run records before its first step: configuration, data, circumstances."""

import json
import platform
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import distributions
from pathlib import Path

import pandas as pd
import torch

from clothing_lightning import __version__
from clothing_lightning.data.table import counts, digest, group_overlap
from clothing_lightning.datamodules import PhotoDataModule
from clothing_lightning.errors import ConfigError, DataError, UserError
from clothing_lightning.models.devices import device_name
from clothing_lightning.network_analysis.complexity import NetworkReport
from clothing_lightning.reports.class_balance import class_counts_figure
from clothing_lightning.reports.console import say, warn
from clothing_lightning.reports.style import save
from clothing_lightning.tracking.read import StoredRun
from clothing_lightning.tracking.run import RunWriter, status_after
from clothing_lightning.tracking.settings import content_tags, resumed_tags
from clothing_lightning.training.experiment import Experiment
from clothing_lightning.training.failures import cannot_save
from clothing_lightning.training.network_report import describe_network
from clothing_lightning.training.run_group import RunGroup

OF_THE_OPTIMIZER = ("model.optimizer", "model.layer_decay")


def start_run(
    experiment: Experiment, device: torch.device, stored_run: StoredRun | None = None
) -> tuple[RunWriter, NetworkReport | None]:
    """Start the run in MLflow, or continue one, and record what it is made of.

    Args:
        experiment: The model, its data, and the name of the run.
        device: The device that trains.
        stored_run: The run to continue; None starts a new one.

    Returns:
        The run, and the report on its network; None where it could not be made, or a
        run is continued, which has it already.

    Raises:
        StorageError: If the run cannot be written.
        DataError: If a run is to be continued with other images.
        ConfigError: If a run is to be continued with another optimizer.
    """
    if stored_run is not None:
        _require_same_images(stored_run, experiment.data.split_digest)
        _require_same_optimizer(stored_run, experiment.parameters)
        if stored_run.status == "RUNNING":
            warn(
                f"{stored_run.name} is marked RUNNING. If another process still works "
                "on it, stop one of them."
            )
    name, group = experiment.name, RunGroup.of_this_process()
    run = RunWriter(
        experiment.experiment,
        f"{name}, {group.variation}" if group else name,
        stored_run.run_id if stored_run else None,
        group.join(experiment.experiment, name) if group else {},
    )
    try:
        say(f"Run {run.name} ({run.run_id}) in {run.folder}")
        if stored_run is not None:
            return run, None
        return run, _record_start(run, experiment, device)
    except BaseException as err:
        run.finish(status_after(err))
        if isinstance(err, OSError) and not isinstance(err, UserError):
            raise cannot_save(run, err) from err
        raise


def _record_start(
    run: RunWriter, experiment: Experiment, device: torch.device
) -> NetworkReport | None:
    data, network = experiment.data, experiment.model.network
    parameters = experiment.parameters
    run.log_params(parameters)
    run.set_tags(tags(data, device) | content_tags(parameters) | experiment.tags)
    state = network.state_dict().values()
    size_bytes = sum(tensor.numel() * tensor.element_size() for tensor in state)
    count = sum(parameter.numel() for parameter in network.parameters())
    run.log_results({"model/params": count, "model/size_mb": size_bytes / 1e6})
    _write_config(run, experiment.config, experiment.command)
    _write_data(run, data, experiment.model.class_weights)
    return describe_network(run, experiment.model, data)


def record_resumption(
    run: RunWriter, experiment: Experiment, device: torch.device, stored_run: StoredRun
) -> None:
    """Record with what settings a run goes on, once its checkpoint is restored.

    Raises:
        StorageError: If it cannot be written.
    """
    parameters = experiment.parameters
    for key, (before, now) in run.log_params(parameters).items():
        warn(f"Continuing with {key} = {now}; the run began with {before}.")
    run.set_tags(
        tags(experiment.data, device)
        | content_tags(parameters)
        | resumed_tags(stored_run.hyperparameters, parameters)
        | experiment.tags
    )
    file = run.folder / "config" / f"resumed-{stored_run.times_resumed + 1}.yaml"
    _write(file, experiment.config)
    run.publish(file)


def _require_same_optimizer(
    stored_run: StoredRun, parameters: Mapping[str, str]
) -> None:
    """Refuse settings that the state of the optimizer would silently overrule."""
    before = stored_run.hyperparameters
    for key in before.keys() | parameters.keys():
        then, now = before.get(key, "unset"), parameters.get(key, "unset")
        if key.startswith(OF_THE_OPTIMIZER) and then != now:
            raise ConfigError(
                f"{key} is {now}, but run {stored_run.name} has {then}: it goes on "
                "with the optimizer of its checkpoint. Leave the option out, or start "
                "a new run."
            )


def _require_same_images(stored_run: StoredRun, digest_now: str) -> None:
    """Refuse to continue on other images: some of the test may have been learnt."""
    before = stored_run.split_digest
    if before not in (None, digest_now):
        raise DataError(
            f"run {stored_run.name}: began with other images or another split (digest "
            f"{before}, now {digest_now}). It would be tested on images that it has "
            "learnt from. Restore the data, or start a new run."
        )


def tags(data: PhotoDataModule, device: torch.device) -> dict[str, str]:
    """Tags that a run gets from its data and the machine that trains."""
    test = data.part("test")
    recorded = {
        "split_digest": data.split_digest,
        "test_digest": digest(test, ("sha256", "label")),
        "host": platform.node(),
        "device": device_name(device),
        "threads": str(torch.get_num_threads()),
        "version.clothing_lightning": __version__,
        "version.python": platform.python_version(),
        "version.torch": torch.__version__,
        "image_root": str(data.root.resolve()),
        "preprocessing": json.dumps(
            asdict(data.preprocessing) | {"boxes": data.crop_to_boxes}
        ),
    }
    commit = _git("rev-parse", "HEAD")
    return recorded | ({"git_commit": commit.strip()} if commit else {})


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
    run.log_dataset(data.name, shown, data.split_digest)
