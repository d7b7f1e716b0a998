import pytest

from clothing_lightning.tracking.logger import RunLogger
from clothing_lightning.tracking.run import RunWriter

pytestmark = pytest.mark.usefixtures("workplace")


def points(run: RunWriter, key: str) -> list[tuple[int, float]]:
    return [(p.step, p.value) for p in run.client.get_metric_history(run.run_id, key)]


def test_steps_are_epochs_except_where_the_name_says_step() -> None:
    run, logger = RunWriter("clothes", "a"), RunLogger()
    logger.run = run
    assert (logger.name, logger.version) == ("a", run.run_id)
    logger.log_metrics({"train/loss_step": 0.5, "epoch": 2.0}, step=130)
    logger.log_metrics({"val/loss": 0.25, "val/macro_f1": 0.75, "epoch": 2.0}, step=195)
    run.finish("FINISHED")
    assert points(run, "train/loss_step") == [(130, 0.5)]
    assert points(run, "val/loss") == [(2, 0.25)]
    assert points(run, "val/macro_f1") == [(2, 0.75)]
    assert points(run, "epoch") == []


def test_a_second_test_goes_by_its_own_name() -> None:
    run, logger = RunWriter("clothes", "a"), RunLogger()
    logger.run = run
    logger.renamed = "test_last"
    logger.log_metrics({"test/loss": 0.5, "epoch": 8.0}, step=1000)
    logger.renamed = "test"
    logger.log_metrics({"test/loss": 0.25, "epoch": 8.0}, step=1000)
    run.finish("FINISHED")
    assert points(run, "test_last/loss") == [(0, 0.5)]
    assert points(run, "test/loss") == [(0, 0.25)]


def test_other_devices_log_nothing() -> None:
    logger = RunLogger()
    logger.log_metrics({"val/loss": 1.0, "epoch": 0.0}, step=1)
    logger.log_hyperparams({"lr": 1})
    assert (logger.name, logger.version) == (None, None)
