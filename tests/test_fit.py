"""`fit` from end to end, on tiny images and a real SQLite store."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import pytest
import torch
import yaml
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.plugins import TorchCheckpointIO
from mlflow import MlflowClient
from mlflow.entities import Run

from clothing_lightning import fit
from clothing_lightning.metrics.abstention import calibrate
from clothing_lightning.metrics.calibration import tempering
from clothing_lightning.metrics.classification_report import summary
from clothing_lightning.tracking.read import find_run
from clothing_lightning.tracking.store import tracking_uri
from clothing_lightning.training import fitting

EXPERIMENTS = Path(__file__).parents[1] / "experiments"

pytestmark = pytest.mark.usefixtures("workplace")


def store() -> MlflowClient:
    return MlflowClient(tracking_uri())


def only_run() -> Run:
    experiments = [e.experiment_id for e in store().search_experiments()]
    (run,) = store().search_runs(experiments)
    return run


def folder_of(run: Run) -> Path:
    return Path(run.info.artifact_uri.removeprefix("file://"))


def state(run: Run, name: str = "last") -> dict[str, torch.Tensor]:
    file = folder_of(run) / "checkpoints" / f"{name}.ckpt"
    weights: dict[str, torch.Tensor] = torch.load(file, weights_only=True)["state_dict"]
    return weights


def steps(run: Run, metric: str) -> list[int]:
    return [p.step for p in store().get_metric_history(run.info.run_id, metric)]


def test_a_run_holds_all_that_the_design_names(
    experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit.main([str(experiment), "--test_last", "true"]) == 0
    run = only_run()
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "tiny"
    assert store().get_experiment(run.info.experiment_id).name == "clothing-dataset"
    files = {
        path.relative_to(folder_of(run)).as_posix()
        for path in folder_of(run).rglob("*")
        if path.is_file()
    }
    assert {
        "config/config.yaml",
        "config/command.txt",
        "config/packages.txt",
        "data/manifest.csv",
        "data/class_counts.csv",
        "data/class_counts.png",
        "data/findings.json",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "predictions/val.parquet",
        "predictions/test.parquet",
        "predictions/test_last.parquet",
        "reports/test_per_class.csv",
        "reports/test_confusion_matrix.csv",
        "reports/test_confusion_matrix.png",
        "reports/test_confused_pairs.jpg",
        "reports/test_confident_mistakes.jpg",
        "reports/val_per_class.md",
        "reports/learning_curves.png",
        "reports/complexity.csv",
        "reports/receptive_field.json",
        "reports/receptive_field.png",
        "reports/effective_field_start.npz",
        "reports/effective_field.png",
    } <= files
    images = [name for name in files if name.startswith("images/val~confusion_matrix")]
    assert len([name for name in images if name.endswith(".png")]) == 3

    output = capsys.readouterr().out
    assert "calibration by only 8 validation images: temperature " in output
    assert "test, best" in output
    assert "test, last" in output
    assert run.info.run_id in output
    assert "mlflow ui --backend-store-uri sqlite:///mlruns/mlflow.db" in output


def test_metrics_parameters_tags_and_input(experiment: Path) -> None:
    assert fit.main([str(experiment), "--run.tags", "{owner: me}"]) == 0
    run = only_run()
    for stage in ("train", "val"):
        for name in ("loss", "loss_unweighted", "accuracy", "macro_f1", "macro_f1_all"):
            assert steps(run, f"{stage}/{name}") == [0, 1, 2]
    assert "val/top3" not in run.data.metrics  # there are only three classes
    predictions = pd.read_parquet(folder_of(run) / "predictions" / "test.parquet")
    for name, value in summary(predictions).items():
        assert run.data.metrics[f"test/{name}"] == pytest.approx(value, abs=1e-6)
    validation = pd.read_parquet(folder_of(run) / "predictions" / "val.parquet")
    fitted = calibrate(validation)
    assert fitted is not None
    assert run.data.metrics["calibration/temperature"] == fitted.temperature
    assert run.data.metrics["calibration/val_images"] == len(validation)
    for name, value in tempering(predictions, fitted.temperature).items():
        assert run.data.metrics[f"calibration/test_{name}"] == pytest.approx(value)

    assert run.data.params["data"] == "ClothingDataset"
    assert run.data.params["data.batch_size"] == "4"
    assert run.data.params["model.backbone"] == "test_resnet"
    assert run.data.params["model.optimizer"] == "AdamW"
    assert run.data.params["seed_everything"] == "3"
    assert not [key for key in run.data.params if "init_args" in key]
    assert run.data.tags["owner"] == "me"
    assert len(run.data.tags["split_digest"]) == len(run.data.tags["test_digest"]) == 16
    assert run.inputs is not None
    (dataset,) = [entry.dataset for entry in run.inputs.dataset_inputs]
    assert (dataset.name, dataset.digest) == (
        "clothing-dataset",
        run.data.tags["split_digest"],
    )
    findings = json.loads((folder_of(run) / "data" / "findings.json").read_text())
    assert findings["rows"] == 40


def test_cost_and_receptive_field_are_those_of_the_network(experiment: Path) -> None:
    assert fit.main([str(experiment), "--trainer.max_epochs=1"]) == 0
    run = only_run()
    found = json.loads((folder_of(run) / "reports/receptive_field.json").read_text())
    metrics = run.data.metrics
    assert metrics["model/params"] == found["params"]
    assert metrics["model/macs"] == found["macs"] > 1000
    assert metrics["model/flops"] == 2 * found["macs"]
    assert metrics["model/receptive_field_px"] == 167
    assert found["receptive_field"]["size_px"] == [167, 167]
    layers = pd.read_csv(folder_of(run) / "reports/complexity.csv")
    assert layers["macs"].sum() == found["macs"]
    assert layers["params"].sum() == found["params"]


def test_the_logged_configuration_alone_gives_the_run_again(experiment: Path) -> None:
    assert fit.main([str(experiment), "--trainer.max_epochs", "2"]) == 0
    first = only_run()
    assert fit.main([str(folder_of(first) / "config" / "config.yaml")]) == 0
    runs = store().search_runs([first.info.experiment_id], order_by=["start_time"])
    again, first_state = state(runs[-1]), state(first)
    assert runs[-1].info.run_id != first.info.run_id
    assert again.keys() == first_state.keys()
    assert all(torch.equal(again[key], first_state[key]) for key in again)
    assert runs[-1].data.metrics["test/loss"] == first.data.metrics["test/loss"]


class Stop(Callback):
    """Ctrl-C before a batch."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.epoch = epoch
        self.batch = batch

    def on_train_batch_start(
        self, trainer: Trainer, module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if (trainer.current_epoch, batch_idx) == (self.epoch, self.batch):
            raise KeyboardInterrupt


EMA = """
trainer:
  callbacks:
    - class_path: lightning.pytorch.callbacks.EMAWeightAveraging
      init_args: {decay: 0.8}
"""


@pytest.mark.parametrize(
    ("epoch", "workers"), [(0, []), (1, []), (2, []), (1, ["0"]), (1, ["1"])]
)
def test_a_resumed_run_ends_with_the_weights_of_one_never_stopped(
    epoch: int,
    workers: list[str],
    experiment: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    overlay = tmp_path / "ema.yaml"
    overlay.write_text(EMA)
    words = [str(experiment), str(overlay)]
    words += [f"--data.init_args.num_workers={number}" for number in workers]
    assert fit.main(words) == 0
    straight = only_run()

    with monkeypatch.context() as patched:
        patched.setattr(fitting, "Progress", lambda: Stop(epoch, 2))
        assert fit.main([*words, "--run.name", "stopped"]) == 130
    found = store().search_runs([straight.info.experiment_id])
    (stopped,) = [run for run in found if run.info.run_name == "stopped"]
    assert stopped.info.status == "KILLED"
    prefix = stopped.info.run_id[:8]
    assert f"--resume {prefix}" in capsys.readouterr().out

    signal.signal(signal.SIGINT, signal.default_int_handler)
    assert fit.main(["--resume", prefix]) == 0
    resumed = store().get_run(stopped.info.run_id)
    assert resumed.info.status == "FINISHED"
    for name in ("last", "best"):
        ours, theirs = state(resumed, name), state(straight, name)
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    for metric in ("train/loss", "val/macro_f1", "val/loss", "train/loss_step"):
        history = steps(resumed, metric)
        assert history == sorted(set(history)) == steps(straight, metric)
    for key, value in straight.data.metrics.items():
        if not key.startswith("system/") and not key.endswith("_s"):  # times
            assert resumed.data.metrics[key] == value, key


def test_changed_parameters_are_told_and_logged_when_resuming(
    experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit.main([str(experiment), "--trainer.max_epochs", "1"]) == 0
    run = only_run()
    assert fit.main(["--resume", "tiny", "--trainer.max_epochs", "2"]) == 0
    assert "trainer.max_epochs = 2; the run began with 1" in capsys.readouterr().out
    assert steps(only_run(), "val/loss") == [0, 1]
    assert only_run().info.run_id == run.info.run_id
    resumed = folder_of(run) / "config" / "resumed-1.yaml"
    assert yaml.safe_load(resumed.read_text())["trainer"]["max_epochs"] == 2
    stored = find_run("tiny")
    assert stored.params["trainer.max_epochs"] == "1"
    assert stored.hyperparameters["trainer.max_epochs"] == "2"


@pytest.mark.parametrize(
    "option",
    ["--model.init_args.optimizer.init_args.lr=0.5", "--model.init_args.layer_decay=1"],
)
def test_a_resumed_run_keeps_its_optimizer(
    option: str, experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit.main([str(experiment), "--trainer.max_epochs", "1"]) == 0
    assert fit.main(["--resume", "tiny", "--trainer.max_epochs", "2", option]) == 2
    assert "goes on with the optimizer of its checkpoint" in capsys.readouterr().err
    assert only_run().info.status == "FINISHED"


def test_a_run_that_cannot_be_continued_stays_as_it_was(
    experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit.main([str(experiment), "--trainer.max_epochs", "1"]) == 0
    before = only_run()
    last = folder_of(before) / "checkpoints" / "last.ckpt"
    content = last.read_bytes()
    last.write_bytes(b"damaged")
    assert fit.main(["--resume", "tiny", "--trainer.max_epochs", "2"]) == 2
    assert "last.ckpt': is damaged" in capsys.readouterr().err
    run = only_run()
    assert (run.info.status, run.data.tags) == ("FINISHED", before.data.tags)
    assert not list((folder_of(run) / "config").glob("resumed-*"))
    last.write_bytes(content)
    assert fit.main(["--resume", "tiny", "--trainer.max_epochs", "2"]) == 0
    assert steps(only_run(), "val/loss") == [0, 1]


def test_the_name_of_a_run_is_no_markup(
    experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "[/x] [red]dress\x1b[2J"
    words = [str(experiment), "--trainer.max_epochs=1", f"--run.name={name}"]
    assert fit.main(words) == 0
    output = capsys.readouterr().out
    assert "[/x] [red]dress\N{REPLACEMENT CHARACTER}[2J" in output
    assert only_run().info.status == "FINISHED"


def test_other_loggers_work_beside_mlflow(experiment: Path) -> None:
    Path("loggers.yaml").write_text(
        "trainer:\n  max_epochs: 1\n  logger:\n"
        "    - {class_path: CSVLogger, init_args: {save_dir: logs}}\n"
    )
    assert fit.main([str(experiment), "loggers.yaml"]) == 0
    (file,) = Path("logs").rglob("metrics.csv")
    logged = pd.read_csv(file)["val/loss"].dropna().to_list()
    assert logged == [pytest.approx(only_run().data.metrics["val/loss"])]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--trainer.logger=true"], "trainer.logger is true. MLflow keeps every"),
        (["--trainer.logger=WandbLogger"], "trainer.logger: cannot be used ("),
        (["--trainer.devices=-3"], "trainer: `devices` selected with"),
        (["--trainer.max_epochs", "0"], "trainer.max_epochs is 0. The least is 1"),
        (["--trainer.max_epochs", "-2"], "trainer.max_epochs is -2. The least is 1"),
        (["--trainer.max_steps", "0"], "trainer.max_steps is 0. The least is 1"),
    ],
)
def test_settings_without_a_meaning_are_refused(
    words: list[str],
    message: str,
    experiment: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert fit.main([str(experiment), *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["--data.init_args.num_workers=1"],
        ["--trainer.devices=2", "--trainer.strategy=ddp"],
    ],
)
def test_sigterm_ends_cleanly(words: list[str], experiment: Path) -> None:
    words = [*words, "--trainer.max_epochs=100000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "clothing_lightning.fit", str(experiment), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 300
    while process.poll() is None and not list(Path().glob("mlruns/**/best.ckpt")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "Continue with" in out
    run = only_run()
    assert run.info.status == "KILLED"
    assert (folder_of(run) / "checkpoints" / "last.ckpt").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--trainer.max_epoch=3"], r"trainer\.max_epoch: there is no such option\. "),
        (["--trainer.max_epochs=x"], r"trainer\.max_epochs: 'x' is not int or null"),
        (
            ["--model.init_args.label_smooting=1"],
            r"model\.init_args\.label_smooting: there .*names: label_smoothing",
        ),
        (
            ["--data.init_args.split.metod=own"],
            r"data\.init_args\.split\.metod: there .* Closest names: method",
        ),
        (
            ["--data.init_args.augmentation=foo"],
            r"'foo' is not one of 'none', 'light', 'strong' or list",
        ),
        (["--data=Nope"], r"data: 'Nope' is not the name of a class"),
        (
            ["--model.init_args.backbone=resnet81"],
            r"'resnet81' is not a timm model\. Closest names: resnet18",
        ),
        (["--model.init_args.weights=x.pth"], r"'x\.pth' is not a file"),
        (["--data.init_args.root=/nowhere"], r"/nowhere/images\.csv' is not there"),
        (["--data.init_args.batch_size=0"], r"batch_size is 0\. The least is 1"),
        (["--data.init_args.split.val=3"], r"val is 3\.0 and test is 0\.2"),
        (["--trainer.accelerator=foo"], r"trainer: You selected an invalid accel"),
        (["--checkpoint.mode=x"], r"checkpoint\.mode is 'x', but .*mode max"),
        (["--model.init_args.weights=null"], r"weights: is null\. .* for 'hub'"),
        (["--model.init_args.backbone=null"], r"backbone: is null\. Name a network"),
    ],
)
def test_a_mistake_gets_one_message_and_exit_2(
    words: list[str],
    message: str,
    experiment: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert fit.main([str(experiment), *words]) == 2
    err = capsys.readouterr().err
    assert err.startswith("\nerror: ")
    assert re.search(message, err), err
    assert "Traceback" not in err
    assert not Path("mlruns/artifacts").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"model: [1\n x: :", "is not YAML in UTF-8"),
        (b"\xff\xfe\x00", "is not YAML in UTF-8"),
        (b"- 3\n", "holds a list, not keys such as data"),
        (
            b"modle: {a: 1}\n",
            "modle.a: there is no such option. Closest names: model",
        ),
    ],
)
def test_a_file_that_is_no_experiment(
    content: bytes,
    message: str,
    experiment: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "overlay.yaml"
    file.write_bytes(content)
    assert fit.main([str(experiment), str(file)]) == 2
    assert message in capsys.readouterr().err


def test_a_missing_file_is_told_with_the_closest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert fit.main([str(EXPERIMENTS / "resnet81.yaml")]) == 2
    err = capsys.readouterr().err
    assert "resnet81.yaml: there is no such file. Closest names: " in err
    assert str(EXPERIMENTS / "resnet18.yaml") in err


def test_a_store_that_cannot_be_written(
    experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree("mlruns")
    Path("mlruns").write_text("in the way")
    assert fit.main([str(experiment)]) == 2
    err = capsys.readouterr().err
    assert "the store 'sqlite:///" in err
    assert "cannot be opened" in err
    assert Path("mlruns").read_text() == "in the way"


def test_a_full_disk_loses_nothing(
    experiment: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    save = torch.save
    left = 4  # the one at the start, then best and last of the first epoch, and best

    def full(content: Any, file: Path) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            file.write_bytes(b"half of a check")
            raise OSError(28, "No space left on device")
        save(content, file)

    monkeypatch.setattr(torch, "save", full)
    assert fit.main([str(experiment)]) == 2
    err = capsys.readouterr().err
    assert "could not be saved" in err
    assert "No space left on device" in err
    run = only_run()
    assert f"--resume {run.info.run_id[:8]}" in err
    assert run.info.status == "FAILED"
    assert state(run, "last")
    assert state(run, "best")

    monkeypatch.setattr(torch, "save", save)
    assert fit.main(["--resume", run.info.run_id]) == 0
    assert only_run().info.status == "FINISHED"


def test_more_workers_than_cores_is_a_warning(
    experiment: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cores = len(os.sched_getaffinity(0))
    words = [f"--data.init_args.num_workers={cores + 1}", "--trainer.max_epochs=1"]
    assert fit.main([str(experiment), *words]) == 0
    assert f"this machine has {cores} cores" in caplog.text


# Lightning itself imports matplotlib and SciPy.
DATA_LIBRARIES = {"mlflow", "pandas", "pyarrow", "albumentations", "cv2", "sklearn"}


@pytest.mark.parametrize(
    ("words", "code", "banned"),
    [
        ([], 2, {"torch", "yaml", "pandas"}),
        (["--help"], 0, {"torch", "yaml", "pandas"}),
        (["nope.yaml"], 2, {"torch", "yaml", "pandas"}),
        (["{experiment}", "--trainer.max_epoch=1"], 2, DATA_LIBRARIES),
    ],
)
def test_the_first_word_comes_before_heavy_imports(
    words: list[str], code: int, banned: set[str], experiment: Path
) -> None:
    words = [word.format(experiment=experiment) for word in words]
    script = (
        "import sys; from clothing_lightning import fit; "
        f"code = fit.main({words!r}); "
        f"sys.exit(f'{{code}} ' + ' '.join({banned!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.stderr.splitlines()[-1].strip() == str(code), done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--checkpoint.monitor=val/loss"], "Pass --checkpoint.mode min"),
        (["--checkpoint.monitor=val/acc"], "'val/acc' is not logged. Write val/ and"),
        (["--checkpoint.save_top_k=2"], "One best checkpoint is kept: leave it at 1"),
    ],
)
def test_the_best_checkpoint_must_be_the_best(
    words: list[str],
    message: str,
    experiment: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert fit.main([str(experiment), *words]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_a_second_resume_keeps_what_the_first_changed(experiment: Path) -> None:
    assert fit.main([str(experiment), "--trainer.max_epochs", "1"]) == 0
    assert fit.main(["--resume", "tiny", "--trainer.max_epochs", "2"]) == 0
    assert fit.main(["--resume", "tiny"]) == 0
    assert only_run().info.status == "FINISHED"
    assert steps(only_run(), "val/loss") == [0, 1]


def test_resuming_on_other_images_is_refused(
    experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit.main([str(experiment), "--trainer.max_epochs", "1"]) == 0
    assert fit.main(["--resume", "tiny", "--data.init_args.split.seed", "1"]) == 2
    assert "began with other images or another split" in capsys.readouterr().err
    assert steps(only_run(), "val/loss") == [0]
    assert only_run().info.status == "FINISHED"


def test_the_full_list_of_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        fit.main(["--help-all"])
    assert ended.value.code == 0
    assert "--trainer.max_epochs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "precision"),
    [([], "32-true"), (["--trainer.precision=bf16-mixed"], "bf16-mixed")],
)
def test_a_chosen_precision_is_kept(
    words: list[str], precision: str, experiment: Path
) -> None:
    words = [*words, "--trainer.accelerator=cpu", "--trainer.max_epochs=1"]
    assert fit.main([str(experiment), *words]) == 0
    assert only_run().data.params["trainer.precision"] == precision


class NotedCheckpointIO(TorchCheckpointIO):
    """Of a user: notes what it saves."""

    saved: ClassVar[list[str]] = []

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        self.saved.append(Path(path).name)
        super().save_checkpoint(checkpoint, path, storage_options)


def test_a_checkpoint_plugin_of_the_user_takes_the_place_of_ours(
    experiment: Path,
) -> None:
    plugin = {"class_path": f"{__name__}.{NotedCheckpointIO.__name__}"}
    words = [f"--trainer.plugins={json.dumps(plugin)}", "--trainer.max_epochs=1"]
    assert fit.main([str(experiment), *words]) == 0
    assert {"best.ckpt", "last.ckpt"} <= set(NotedCheckpointIO.saved)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--trainer.val_check_interval=99"], "must be less than or equal"),
        (["--model.init_args.optimizer.init_args.lr=-1"], "Invalid learning rate: -1"),
    ],
)
def test_what_a_library_refuses_is_told_and_the_run_is_failed(
    words: list[str],
    message: str,
    experiment: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert fit.main([str(experiment), *words]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "error: the experiment does not hold: " in told
    assert message in told
    assert only_run().info.status == "FAILED"
