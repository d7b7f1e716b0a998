"""Recipes of `fit` from end to end: phases, and what is one line of YAML each."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from mlflow.entities import Run

from clothing_lightning import fit
from clothing_lightning.tracking.store import client, tracking_uri
from clothing_lightning.training import fitting

Recorded = Callable[[], list[Run]]

pytestmark = pytest.mark.usefixtures("workplace")


def weights(run: Run, name: str = "last") -> dict[str, torch.Tensor]:
    folder = Path(run.info.artifact_uri.removeprefix("file://"))
    checkpoint = torch.load(folder / f"checkpoints/{name}.ckpt", weights_only=True)
    found: dict[str, torch.Tensor] = checkpoint["state_dict"]
    return found


def history(run: Run, metric: str) -> list[tuple[int, float]]:
    found = client(tracking_uri()).get_metric_history(run.info.run_id, metric)
    return [(point.step, point.value) for point in found]


class Stop(Callback):
    """Ctrl-C before a batch."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.place = (epoch, batch)

    def on_train_batch_start(
        self, trainer: Trainer, module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if (trainer.current_epoch, batch_idx) == self.place:
            raise KeyboardInterrupt


# Of each kind of schedule one, and of all that has a state of its own.
COSINE = """
model:
  init_args:
    phases:
      - {epochs: 2, train: head}
      - {epochs: 2, train: 'last: 1/3', lr_factor: 0.1, warmup: 0.3}
    layer_decay: 0.7
    mixup: 0.4
    cutmix: 1.0
    drop_path_rate: 0.2
trainer:
  max_epochs: null
  accumulate_grad_batches: 2
  callbacks:
    - class_path: clothing_lightning.training.averaging.WarmEMA
      init_args: {decay: 0.8}
"""
STEPS = """
model:
  init_args:
    phases:
      - epochs: 2
        train: head
        scheduler:
          class_path: torch.optim.lr_scheduler.StepLR
          init_args: {step_size: 1}
      - epochs: 2
        train: {last: 1/3}
    optimizer:
      class_path: torch.optim.SGD
      init_args: {lr: 0.1, momentum: 0.9, weight_decay: 0.01}
    scheduler: null
trainer: {max_epochs: null, gradient_clip_val: 1.0}
"""


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [COSINE, STEPS], ids=["cosine", "steps"])
def test_a_run_killed_in_any_phase_ends_with_the_weights_of_one_never_stopped(
    recipe: str,
    experiment: Path,
    recorded: Recorded,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("recipe.yaml").write_text(recipe)
    words = [str(experiment), "recipe.yaml"]
    assert fit.main([*words, "--run.name=straight"]) == 0
    (straight,) = recorded()
    assert [value for _, value in history(straight, "phase")] == [1, 1, 2, 2]
    for epoch, batch in [(0, 3), (1, 2), (2, 0), (3, 1)]:
        name = f"stopped-{epoch}"
        with monkeypatch.context() as patched:
            patched.setattr(fitting, "Progress", lambda e=epoch, b=batch: Stop(e, b))
            assert fit.main([*words, f"--run.name={name}"]) == 130
        signal.signal(signal.SIGINT, signal.default_int_handler)
        assert fit.main(["--resume", name]) == 0
        (resumed,) = [run for run in recorded() if run.info.run_name == name]
        for metric in ("phase", "lr", "train/loss", "val/loss"):
            assert history(resumed, metric) == history(straight, metric)
        for checkpoint in ("last", "best"):
            ours, theirs = (weights(run, checkpoint) for run in (resumed, straight))
            assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_a_phase_is_in_the_metrics_and_the_run_ends_with_the_last(
    experiment: Path, recorded: Recorded
) -> None:
    phases = "[{epochs: 1, train: head}, {epochs: 1, train: {last: 1/3}}]"
    words = [f"--model.init_args.phases={phases}", "--trainer.max_epochs=null"]
    assert fit.main([str(experiment), *words]) == 0
    (run,) = recorded()
    assert history(run, "phase") == [(0, 1), (1, 2)]
    assert run.data.params["trainer.max_epochs"] == "2"
    assert '"train": {"last": "1/3"}' in run.data.params["model.phases"]


@pytest.mark.slow
def test_two_devices_train_in_phases(experiment: Path, recorded: Recorded) -> None:
    phases = "[{epochs: 1, train: head}, {epochs: 1, train: {last: 1/3}}]"
    words = [
        *(f"--model.init_args.phases={phases}", "--trainer.max_epochs=2"),
        "--trainer.devices=2",
        "--trainer.strategy=ddp_find_unused_parameters_true",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "clothing_lightning.fit", str(experiment), *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    (run,) = recorded()
    assert history(run, "phase") == [(0, 1), (1, 2)]


# Each in one line


EMA = "{class_path: clothing_lightning.training.averaging.WarmEMA}"
plain_loss: list[float] = []  # without such a line, once known
STEP = "{class_path: StepLR, init_args: {step_size: 1}}"


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        f"trainer: {{callbacks: {EMA}}}",
        "trainer: {precision: bf16-mixed}",
        "trainer: {accumulate_grad_batches: 2}",
        "trainer: {gradient_clip_val: 0.01}",
        f"model: {{init_args: {{scheduler: {STEP}}}}}",
        "model: {init_args: {loss: focal}}",
        "model: {init_args: {mixup: 0.2}}",
        "model: {init_args: {cutmix: 1.0}}",
        "model: {init_args: {layer_decay: 0.75}}",
        "model: {init_args: {in_chans: 1}}",
        "model: {init_args: {backbone: test_vit}}",  # built for the images' 32 px
    ],
)
def test_a_recipe_of_one_line_changes_the_training(
    line: str, experiment: Path, recorded: Recorded
) -> None:
    words = [str(experiment), "--trainer.max_epochs=1"]
    if not plain_loss:
        assert fit.main([*words, "--run.name=plain"]) == 0
        plain_loss.append(recorded()[0].data.metrics["test/loss_unweighted"])
    Path("line.yaml").write_text(line)
    assert fit.main([words[0], "line.yaml", *words[1:], "--run.name=line"]) == 0
    (run,) = [run for run in recorded() if run.info.run_name == "line"]
    assert run.info.status == "FINISHED"
    assert 0 < run.data.metrics["test/loss_unweighted"] != plain_loss[0]


EARLY = "{class_path: EarlyStopping, init_args: {monitor: val/macro_f1, %s}}"


def test_early_stopping_waits_for_as_long_as_it_is_told(
    experiment: Path, recorded: Recorded
) -> None:
    callback = EARLY % "mode: max, patience: 3"
    Path("line.yaml").write_text(f"trainer: {{callbacks: {callback}, max_epochs: 50}}")
    # So slow that the first epoch stays the best.
    words = [str(experiment), "line.yaml", "--model.init_args.optimizer=SGD"]
    assert fit.main([*words, "--model.init_args.optimizer.init_args.lr=1e-12"]) == 0
    (run,) = recorded()
    assert [step for step, _ in history(run, "val/macro_f1")] == [0, 1, 2, 3]


# Mistakes


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--trainer.accumulate_grad_batches=0"], "accumulate_grad_batches is 0. The"),
        (["--trainer.check_val_every_n_epoch=0"], "check_val_every_n_epoch is 0. The"),
        (
            [f"--trainer.callbacks={EARLY % 'patience: 3'}"],
            "EarlyStopping.mode is 'min', but val/macro_f1 is best at its maximum. "
            "Write mode: max.",
        ),
        (
            ["--model.init_args.phases=[{epochs: 1, trian: head}]"],
            "trian: there is no such option. Closest names: train",
        ),
        (
            ["--model.init_args.phases=[{epochs: 1}, {epochs: 1}]"],
            "trainer.max_epochs is 3, but model.init_args.phases end after 2. Pass "
            "--trainer.max_epochs 2",
        ),
        (
            ["--model.init_args.phases=[{epochs: 0}]"],
            "model.init_args.phases: epochs is 0. The least is 1.",
        ),
        (
            ["--model.init_args.phases=[{epochs: 5, lr_factor: 0}]"],
            "model.init_args.phases: lr_factor is 0.0. It is above 0",
        ),
        (
            ["--model.init_args.phases=[{epochs: 5, train: haed}]"],
            "train is 'haed', which no parameter is called. Write head, all, last: "
            "1/3, or a pattern such as layer4.*. Closest names: head",
        ),
        (
            ["--model.init_args.phases=[{epochs: 5, train: {last: 2}}]"],
            "train is 'last: 2.0'. It is a share of the backbone",
        ),
        (["--model.init_args.phases=[]"], "phases is empty. Leave it out"),
        (["--model.init_args.phases=head"], "model.init_args.phases: 'head' is not"),
        (["--model.init_args.mixup=-1"], "model.init_args.mixup is -1.0. It is 0 to"),
        (["--model.init_args.cutmix=-1"], "model.init_args.cutmix is -1.0. It is 0 to"),
        (["--model.init_args.focal_gamma=-1"], "focal_gamma is -1.0. The least is 0"),
        (["--model.init_args.layer_decay=0"], "layer_decay is 0.0. It is above 0"),
        (["--model.init_args.loss=hinge"], "'hinge' is not one of 'cross_entropy', "),
        (["--model.init_args.in_chans=2"], "model.init_args.in_chans is 2. Photos"),
    ],
)
def test_a_mistake_in_a_recipe_gets_one_message_and_exit_2(
    words: list[str],
    message: str,
    experiment: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert fit.main([str(experiment), *words]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert told.startswith("error: ")
    assert message in told
    assert "Traceback" not in told
    assert not Path("mlruns/artifacts").exists()
