"""Lightning's view of a tracked run."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from clothing_lightning.tracking.run import RunWriter


class RunLogger(Logger):
    """Sends metrics to a run, with the epoch as the step.

    Runs with other batch sizes then stand beside each other in the UI. Metrics that end
    with ``_step`` are counted in optimizer steps instead; those of a test are results.

    Attributes:
        run: Where to; None on all devices but the first.
        renamed: What the stage ``test`` is called in the run, such as ``test_last``.
    """

    run: RunWriter | None = None
    renamed = "test"

    @property
    def name(self) -> str | None:
        """Name of the run."""
        return self.run.name if self.run else None

    @property
    def version(self) -> str | None:
        """MLflow's id of the run."""
        return self.run.run_id if self.run else None

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the whole configuration is logged when the run starts."""

    @rank_zero_only
    def log_metrics(
        self, metrics: Mapping[str, float], step: int | None = None
    ) -> None:
        """Queue metrics."""
        if self.run is None:
            return
        values = dict(metrics)
        epoch = int(values.pop("epoch", 0))
        results = {k: values.pop(k) for k in list(values) if k.startswith("test/")}
        if results:
            self.run.log_results(
                {f"{self.renamed}{k.removeprefix('test')}": results[k] for k in results}
            )
        by_step = {k: values.pop(k) for k in list(values) if k.endswith("_step")}
        if by_step:
            self.run.log_metrics(by_step, step or 0)
        if values:
            self.run.log_metrics(values, epoch)
