"""What libraries say that no user can act on."""

import logging
import os
import warnings


def quiet_libraries() -> None:
    """Silence advertisements and notes; real warnings stay."""
    # albumentations asks the network for its newest version, which must not be used.
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        # More workers on two cores are slower; our own default is one for each core.
        r"The '\w+_dataloader' does not have many workers",
        # Our own warning says it shorter.
        r"This DataLoader will create \d+ worker processes",
        # Metrics are logged once an epoch; the step's loss needs no more than it gets.
        r"The number of training batches .* is smaller than the logging interval",
        # Our metrics are synchronised by torchmetrics before they are logged.
        r"It is recommended to use `self.log\(.*sync_dist=True",
        # The folder is new, or that of the run which is being continued.
        r"Checkpoint directory .* exists and is not empty",
        # We load the averaged weights ourselves.
        r"You're using the WeightAveraging callback, but loading a checkpoint",
        # A frozen backbone is in eval mode on purpose.
        r"Found \d+ module\(s\) in eval mode at the start of training",
        # Restored per image and epoch by our own sampler.
        r"You're resuming from a checkpoint that ended before the epoch ended",
    ):
        warnings.filterwarnings("ignore", message)
    # Lightning calls jsonargparse by an older name.
    warnings.filterwarnings("ignore", category=DeprecationWarning, module="lightning")
    # pin_memory and lr_scheduler details that Lightning and torch settle themselves
    warnings.filterwarnings("ignore", category=FutureWarning, module="lightning")
