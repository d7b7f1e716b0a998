from pathlib import Path

import pandas as pd
import pytest

from clothing_lightning.data.table import (
    Annotations,
    check_table,
    counts,
    digest,
    group_overlap,
)
from clothing_lightning.errors import DataError


def table(*rows: tuple[object, ...]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["path", "label", "group", "split"])


FIVE = table(
    ("a.jpg", "Hat", "1", "train"),
    ("b.jpg", "Hat", "2", "train"),
    ("c.jpg", "Dress", "1", "val"),
    ("d.jpg", "Dress", "3", "test"),
    ("e.jpg", "Hat", "2", "test"),
)


def test_sound_table_passes() -> None:
    check_table(FIVE, "clothes")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "clothes: no image is left"),
        (
            [("a.jpg", "Hat"), ("b.jpg", "Cap"), ("a.jpg", "Hat"), ("a.jpg", "Cap")],
            r"clothes: 'a\.jpg' is listed more than once \(2 such rows\)",
        ),
        (
            [("a.jpg", "Hat"), ("b.jpg", None), ("c.jpg", "")],
            r"clothes: 'b\.jpg' has no label \(2 such rows\)",
        ),
        (
            [("a.jpg", "Hat"), ("b.jpg", "Hat")],
            "clothes: the only class is 'Hat'. A classifier needs at least two",
        ),
        (
            [("a.jpg", "Hat"), ("b.jpg", "path")],
            "clothes: 'path' cannot be a class name",
        ),
    ],
)
def test_unusable_table_is_refused(
    rows: list[tuple[object, ...]], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        check_table(pd.DataFrame(rows, columns=["path", "label"]), "clothes")


def test_counts_are_in_class_order_with_every_split() -> None:
    per_class = counts(FIVE)
    assert list(per_class.index) == ["Dress", "Hat"]
    assert list(per_class.columns) == ["train", "val", "test"]
    assert per_class.to_numpy().tolist() == [[0, 1, 1], [2, 0, 1]]


def test_counts_of_a_split_without_images_are_zero() -> None:
    per_class = counts(FIVE[FIVE["split"] == "train"])
    assert per_class.to_numpy().tolist() == [[2, 0, 0]]


def test_group_overlap_is_the_share_of_images_with_a_group_in_train() -> None:
    # Groups 1 and 2 are in train: the val image is of 1, the test images of 3 and 2.
    assert group_overlap(FIVE) == {"val": 1.0, "test": 0.5}


def test_group_overlap_leaves_out_an_empty_split() -> None:
    assert group_overlap(FIVE[FIVE["split"] != "test"]) == {"val": 1.0}


def test_image_without_a_group_shares_it_with_nobody() -> None:
    some = FIVE.assign(group=pd.Series(["1", None, None, "1", "2"], dtype="str"))
    assert group_overlap(some) == {"val": 0.0, "test": 0.5}


@pytest.mark.parametrize(
    "groupless", [FIVE.drop(columns="group"), FIVE.assign(group=None)]
)
def test_group_overlap_is_unknown_without_groups(groupless: pd.DataFrame) -> None:
    assert group_overlap(groupless) == {}


def test_digest_is_the_same_on_every_machine() -> None:
    # printf 'a.jpg\tHat\nb.jpg\tHat\n…e.jpg\tHat' | sha256sum
    assert digest(FIVE, ("path", "label")) == "6e953c5443b39ad8"


def test_digest_ignores_order_and_other_columns() -> None:
    shuffled = FIVE.sample(frac=1, random_state=3).assign(kids=True)
    assert digest(shuffled, ("path", "label")) == digest(FIVE, ("path", "label"))


def test_digest_tells_a_changed_value() -> None:
    changed = FIVE.assign(label=["Hat", "Hat", "Dress", "Dress", "Dress"])
    assert digest(changed, ("path", "label")) != digest(FIVE, ("path", "label"))
    assert digest(changed, ("path",)) == digest(FIVE, ("path",))


def test_annotations_do_not_share_findings() -> None:
    first, second = (Annotations(Path(), FIVE) for _ in range(2))
    first.findings["rows"] = 1
    assert second.findings == {}
