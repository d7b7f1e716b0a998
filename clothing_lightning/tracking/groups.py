"""Runs that stand for several others, their children in MLflow."""

from typing import TYPE_CHECKING

from clothing_lightning.tracking.read import GROUP_TAG, PARENT_TAG
from clothing_lightning.tracking.store import client, create_run, tracking_uri

if TYPE_CHECKING:
    from clothing_lightning.tracking.run import Status


def start_group(experiment: str, name: str, content: str) -> str:
    """Start a run that stands for several.

    Args:
        experiment: The MLflow experiment that the runs belong to.
        name: The name of the run.
        content: What is needed to go on with the group, as JSON.

    Returns:
        The id of the run.

    Raises:
        StorageError: If the store cannot be written.
    """
    return str(create_run(experiment, name, {GROUP_TAG: content}).info.run_id)


def member_tags(group_id: str) -> dict[str, str]:
    """Tags that make a run a child of the run with this id."""
    return {PARENT_TAG: group_id}


def end_group(group_id: str, status: "Status") -> None:
    """Mark a run that stands for several as ended."""
    client(tracking_uri()).set_terminated(group_id, status)
