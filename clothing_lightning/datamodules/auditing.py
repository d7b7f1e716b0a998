"""The audit of the images that a data module chooses."""

from clothing_lightning.data.audit import Audit, Source, audit
from clothing_lightning.data.near_duplicates import near_duplicates
from clothing_lightning.datamodules.base import PhotoDataModule
from clothing_lightning.errors import DataError


def audit_datamodule(data: PhotoDataModule) -> Audit:
    """Look for what would spoil a training on a data module, or its evaluation.

    Images are decoded where that has not been done before. That the data cannot be
    divided into splits is a finding, and no error.

    Raises:
        DatasetNotFoundError: If the data set is not there.
        DataError: If its lists are malformed, or nothing is left to train on.
    """
    table, split_error = data.source.table, ""
    try:
        table = data.table
    except DataError as err:
        split_error = str(err)
    inspected, dropped = data.selected.inspected, data.selected.dropped
    refused = inspected["refusal"].dropna()
    unreadable = dropped[dropped["path"].isin(refused.index)]
    once = table.drop_duplicates("sha256")["path"]
    return audit(
        Source(
            name=data.name,
            root=str(data.root),
            table=table,
            inspected=inspected,
            unreadable=unreadable[["path", "label", "reason"]],
            findings=data.source.findings,
            near=near_duplicates(
                data.root, inspected.loc[once, "phash"], workers=data.num_workers
            ),
            size_px=data.preprocessing.image_size,
            group_noun=data.group_noun,
            split_error=split_error,
            remarks=data.remarks(),
        )
    )
