import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clothing_lightning.data.options import Split
from clothing_lightning.data.splits import assign_splits, parse_fold
from clothing_lightning.data.table import counts, digest, group_overlap
from clothing_lightning.datamodules.clothing_dataset import ClothingDataset
from clothing_lightning.errors import ConfigError, DataError

few = settings(max_examples=15, deadline=None, derandomize=True, database=None)

# The classes of the real photos, from the most frequent to the rarest.
REAL = (1011, 692, 602, 500, 431, 378, 357, 312, 228, 157, 120, 109, 82, 67, 45, 30, 23)


def table(sizes: Mapping[str, int], groups: int = 0) -> pd.DataFrame:
    labels = [label for label, size in sizes.items() for _ in range(size)]
    paths = [f"images/{index:04}.jpg" for index in range(len(labels))]
    made = pd.DataFrame({"path": paths, "label": labels})
    if groups:
        made["group"] = [f"sender {index % groups}" for index in range(len(labels))]
    return made


def sent_table() -> pd.DataFrame:
    """As unequal as the real one: ten senders with half of the images, many with one.

    A sender likes some classes better than others.
    """
    rng = np.random.default_rng(0)
    sizes = [*rng.integers(60, 180, 10), *rng.integers(2, 20, 90), *[1] * 110]
    tastes = rng.dirichlet(np.array(REAL[:10]) / 300, len(sizes))
    rows = [
        (f"{sender}-{index}.jpg", f"class {rng.choice(10, p=tastes[sender])}", sender)
        for sender, size in enumerate(sizes)
        for index in range(size)
    ]
    return pd.DataFrame(rows, columns=["path", "label", "group"]).astype({"group": str})


def placed(assigned: pd.DataFrame) -> dict[str, str]:
    return dict(zip(assigned["path"], assigned["split"], strict=True))


def names(assigned: pd.DataFrame, split: str) -> list[str]:
    chosen = assigned.loc[assigned["split"] == split, "path"]
    return [Path(path).stem for path in chosen]


def of(label: str, per_class: pd.DataFrame) -> list[int]:
    """Images of a class in train, val and test."""
    return [int(per_class[split][label]) for split in ("train", "val", "test")]


# Stratified


def test_default_is_nine_to_one_twice() -> None:
    sizes = {f"class {i:02}": size for i, size in enumerate(REAL)}
    per_class = counts(assign_splits(table(sizes), Split()))
    total = per_class.sum()
    assert abs(total["test"] - 0.10 * sum(REAL)) <= 1
    assert abs(total["val"] - 0.09 * sum(REAL)) <= 1
    for size, (train, val, test) in zip(REAL, per_class.to_numpy(), strict=True):
        assert abs(test - 0.10 * size) <= 1
        assert abs(val - 0.09 * size) <= 1
        assert train + val + test == size


@few
@given(st.lists(st.integers(10, 300), min_size=2, max_size=9), st.integers(0, 99))
def test_every_class_is_in_proportion(sizes: list[int], seed: int) -> None:
    images = table({f"class {i}": size for i, size in enumerate(sizes)})
    per_class = counts(assign_splits(images, Split(seed=seed)))
    assert abs(per_class["test"].sum() - 0.10 * sum(sizes)) <= 1
    assert abs(per_class["val"].sum() - 0.09 * sum(sizes)) <= 1
    for size, (train, val, test) in zip(sizes, per_class.to_numpy(), strict=True):
        assert abs(test - 0.1 * size) <= 1
        # Of what the test leaves, a tenth; at least one image, though.
        assert abs(val - 0.1 * (size - test)) <= 1
        assert min(train, val, test) >= 1


def test_other_shares_are_kept() -> None:
    per_class = counts(
        assign_splits(table({"Dress": 40, "Hat": 20}), Split(val=0.2, test=0.3))
    )
    assert per_class.to_numpy().tolist() == [[20, 8, 12], [10, 4, 6]]


def test_class_of_three_has_one_image_in_each_split() -> None:
    per_class = counts(assign_splits(table({"Dress": 50, "Hat": 3}), Split()))
    assert of("Hat", per_class) == [1, 1, 1]


def test_test_images_are_those_with_the_smallest_hashes() -> None:
    assigned = assign_splits(table({"Dress": 10, "Hat": 10}), Split(seed=5))
    for label in ("Dress", "Hat"):
        of_class = assigned[assigned["label"] == label]
        first = min(
            of_class["path"],
            key=lambda path: hashlib.sha256(f"5:test:{path}".encode()).hexdigest(),
        )
        assert of_class.loc[of_class["split"] == "test", "path"].to_list() == [first]


def test_assignment_is_the_same_on_every_machine() -> None:
    assigned = assign_splits(table({"Dress": 12, "Hat": 8, "Shirt": 3}), Split())
    assert len(assigned) == 23
    assert names(assigned, "test") == ["0003", "0015", "0020"]
    assert names(assigned, "val") == ["0007", "0018", "0021"]


def test_grouped_assignment_is_the_same_on_every_machine() -> None:
    grouped = table({"Dress": 24, "Hat": 16}, groups=9)
    assigned = assign_splits(grouped, Split(method="grouped", val=0.2, test=0.2))
    of_group = dict(zip(assigned["group"], assigned["split"], strict=True))
    assert len(assigned) == 40
    assert [g for g, split in of_group.items() if split == "test"] == [
        "sender 1",
        "sender 4",
    ]
    assert [g for g, split in of_group.items() if split == "val"] == [
        "sender 2",
        "sender 6",
    ]


@pytest.mark.parametrize("method", ["stratified", "grouped"])
def test_order_of_rows_and_further_columns_do_not_matter(method: Any) -> None:
    images = table({"Dress": 40, "Hat": 30}, groups=12)
    first = assign_splits(images, Split(method=method, seed=4))
    mixed = images.sample(frac=1, random_state=1).assign(kids=True)
    second = assign_splits(mixed, Split(method=method, seed=4))
    assert placed(second) == placed(first)
    assert second["path"].is_monotonic_increasing
    assert second["kids"].all()
    assert "split" not in images


@pytest.mark.parametrize("method", ["stratified", "grouped"])
def test_another_seed_is_another_split(method: Any) -> None:
    images = table({"Dress": 80, "Hat": 60}, groups=30)
    splits = [
        tuple(names(assign_splits(images, Split(method=method, seed=seed)), "test"))
        for seed in range(5)
    ]
    assert len(set(splits)) == 5


def test_too_few_images_are_told_with_the_class_and_their_number() -> None:
    images = table({"Dress": 20, "Hat": 2, "Shirt": 1})
    with pytest.raises(
        DataError, match=r"'Hat' has 2, 'Shirt' has 1 images, and 3 are needed"
    ) as error:
        assign_splits(images, Split())
    assert "exclude_labels" in str(error.value)
    assert "split.small_classes=train" in str(error.value)


def test_small_classes_can_stay_in_train() -> None:
    images = table({"Dress": 20, "Hat": 2, "Shirt": 10})
    per_class = counts(assign_splits(images, Split(small_classes="train")))
    assert per_class.to_numpy().tolist() == [[16, 2, 2], [2, 0, 0], [8, 1, 1]]


def test_split_without_any_image_is_refused() -> None:
    with pytest.raises(DataError, match=r"val has no image\. Give it a larger share"):
        assign_splits(table({"Dress": 2, "Hat": 2}), Split(small_classes="train"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"val": 0.0}, "val is 0.0 and test is 0.1. Both must be above 0"),
        ({"test": 1.0}, "val is 0.09 and test is 1.0"),
        ({"val": 0.5, "test": 0.5}, "leave something to train on"),
        ({"fraction": 0.0}, "fraction is 0.0. It is a share: above 0, at most 1"),
        ({"fraction": 1.5}, "fraction is 1.5"),
        ({"method": "file"}, "'file' and split.file is None. Give a file with method"),
        ({"file": "a.csv"}, "'auto' and split.file is 'a.csv'"),
    ],
)
def test_impossible_split_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Split(**wrong)


# Grouped


@pytest.mark.parametrize("seed", range(3))
def test_no_group_straddles_and_shares_are_near_the_target(seed: int) -> None:
    images = sent_table()
    assigned = assign_splits(images, Split(method="grouped", seed=seed))
    assert (assigned.groupby("group")["split"].nunique() == 1).all()
    assert group_overlap(assigned) == {"val": 0, "test": 0}
    shares = counts(assigned).sum() / len(images)
    assert shares["test"] == pytest.approx(0.10, abs=0.02)
    assert shares["val"] == pytest.approx(0.09, abs=0.02)
    per_class = counts(assigned)
    assert (per_class > 0).all(axis=None)
    large = per_class[per_class.sum(axis=1) >= 100]
    of_class = large["test"] / large.sum(axis=1)
    assert len(large) >= 5
    assert of_class.between(0.05, 0.17).all()


def test_groups_are_required() -> None:
    message = "split.method is 'grouped', but not every image has a group"
    images = table({"Dress": 20, "Hat": 20}, groups=8)
    images.loc[3, "group"] = None
    for groupless in (images, images.drop(columns="group")):
        with pytest.raises(ConfigError, match=message):
            assign_splits(groupless, Split(method="grouped"))


def test_class_with_too_few_groups_is_told() -> None:
    images = table({"Dress": 20, "Hat": 20}, groups=8)
    images.loc[images["label"] == "Hat", "group"] = ["a", "b"] * 10
    with pytest.raises(DataError, match="'Hat' has 2 groups, and 3 are needed"):
        assign_splits(images, Split(method="grouped"))


def test_class_whose_groups_fell_elsewhere_is_told() -> None:
    # Whoever sends hats sends hundreds of dresses as well: no hats in the small splits.
    images = table({"Dress": 900, "Hat": 9})
    images["group"] = [f"{index % 3}" for index in range(len(images))]
    images.loc[:300, "group"] = [f"small {index}" for index in range(301)]
    with pytest.raises(
        DataError, match=r"class 'Hat' has no image in .*groups fell elsewhere"
    ):
        assign_splits(images, Split(method="grouped"))
    accepted = assign_splits(images, Split(method="grouped", small_classes="train"))
    assert of("Hat", counts(accepted))[0] > 0


# Cross-validation


@pytest.mark.parametrize("method", ["stratified", "grouped"])
@pytest.mark.parametrize("total", [2, 5])
def test_folds_test_every_image_once(method: Any, total: int) -> None:
    images = table({"Dress": 53, "Hat": 31, "Shirt": 22}, groups=25)
    tested: list[str] = []
    for number in range(1, total + 1):
        split = Split(method=method)
        assigned = assign_splits(images, split, fold=f"{number} of {total}")
        assert len(assigned) == len(images)
        if method == "grouped":
            assert group_overlap(assigned) == {"val": 0, "test": 0}
        tested += names(assigned, "test")
    assert len(tested) == len(images)
    assert set(tested) == {Path(path).stem for path in images["path"]}


@few
@given(st.lists(st.integers(7, 40), min_size=2, max_size=9), st.integers(2, 7))
@example([36, 40, 19, 17, 7, 24, 13, 31], 7)  # ties in what the folds lag behind
def test_folds_are_equally_large(sizes: list[int], total: int) -> None:
    images = table({f"class {i}": size for i, size in enumerate(sizes)})
    folds = [
        counts(assign_splits(images, Split(), fold=f"{number} of {total}"))
        for number in range(1, total + 1)
    ]
    tests = np.array([fold["test"] for fold in folds])
    assert tests.sum(axis=0).tolist() == sizes
    assert np.ptp(tests, axis=0).max() <= 1
    assert np.ptp(tests.sum(axis=1)) <= 1
    for fold in folds:
        assert (fold > 0).all(axis=None)


def test_class_is_large_enough_for_its_folds_or_refused() -> None:
    images = {"Dress": 40, "Hat": 4}
    for fold in ("1 of 2", "2 of 2", "4 of 4"):
        assert (counts(assign_splits(table(images), Split(), fold)) > 0).all(axis=None)
    with pytest.raises(DataError, match="'Hat' has 4 images, and 5 are needed"):
        assign_splits(table(images), Split(), fold="1 of 5")
    # Two of three hats in one fold would leave a single one for train and val.
    with pytest.raises(DataError, match="'Hat' has 3 images, and 4 are needed"):
        assign_splits(table(images | {"Hat": 3}), Split(), fold="1 of 2")


@pytest.mark.parametrize("fold", ["2 of 5", " 2  of 5 "])
def test_fold_is_read(fold: str) -> None:
    assert parse_fold(fold) == (2, 5)


@pytest.mark.parametrize(
    "fold",
    ["0 of 5", "6 of 5", "1 of 1", "x", "", "-1 of 5", "2/5", "2 of x", "² of 5"],
)
def test_other_folds_are_refused(fold: str) -> None:
    with pytest.raises(ConfigError, match=r"fold is .*Write it as '2 of 5'"):
        assign_splits(table({"Dress": 10, "Hat": 10}), Split(), fold=fold)


def test_fold_does_not_go_with_given_splits() -> None:
    images = table({"Dress": 10, "Hat": 10}).assign(split="train")
    with pytest.raises(ConfigError, match=r"fold is '1 of 5', but split\.method 'own'"):
        assign_splits(images, Split(method="own"), fold="1 of 5")


# A fraction


@pytest.mark.parametrize("method", ["stratified", "grouped"])
def test_fraction_is_a_stratified_part_of_the_same_split(method: Any) -> None:
    images = table({"Dress": 200, "Hat": 100}, groups=60)
    full = assign_splits(images, Split(method=method, seed=3))
    half = assign_splits(images, Split(method=method, seed=3, fraction=0.5))
    tenth = assign_splits(images, Split(method=method, seed=3, fraction=0.1))
    assert placed(tenth).items() <= placed(half).items() <= placed(full).items()
    expected = (counts(full) * 0.1).round().clip(lower=1)
    assert counts(tenth).to_numpy().tolist() == expected.to_numpy().tolist()
    assert list(tenth.index) == list(range(len(tenth)))


def test_smallest_fraction_keeps_one_image_of_each_class_and_split() -> None:
    images = table({"Dress": 200, "Hat": 3})
    per_class = counts(assign_splits(images, Split(fraction=0.001)))
    assert per_class.to_numpy().tolist() == [[1, 1, 1], [1, 1, 1]]


# From a file, or the data set's own


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_split_of_a_manifest_is_taken(tmp_path: Path, suffix: str) -> None:
    images = table({"Dress": 20, "Hat": 10})
    manifest = assign_splits(images, Split(seed=8)).sample(frac=1, random_state=0)
    dropped = pd.DataFrame(
        [("images/odd.jpg", "Hat", "dropped")], columns=manifest.columns
    )
    manifest = pd.concat([manifest, dropped])
    file = tmp_path / f"manifest.{suffix}"
    if suffix == "csv":
        manifest.to_csv(file, index=False)
    else:
        manifest.to_parquet(file)
    again = assign_splits(
        images.assign(split="?"), Split(method="file", file=str(file))
    )
    assert placed(again) == placed(assign_splits(images, Split(seed=8)))
    assert again["path"].is_monotonic_increasing


def test_images_that_the_file_lacks_are_left_out(tmp_path: Path) -> None:
    images = table({"Dress": 20, "Hat": 10})
    some = assign_splits(images, Split()).iloc[:-1]
    some.to_csv(tmp_path / "split.csv", index=False)
    split = Split(method="file", file=str(tmp_path / "split.csv"))
    assert placed(assign_splits(images, split)) == placed(some)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("path,part\n", r"split\.csv: has no column 'split' but path, part\. It needs"),
        ("split\ntrain\n", "has no column 'path' but split"),
        (
            "path,split\nimages/0000.jpg,train\nimages/9.jpg,test\n",
            r"'images/9\.jpg' is not an image of this data set \(1 such rows\)",
        ),
        (
            "path,split\nimages/0000.jpg,train\nimages/0000.jpg,test\n",
            r"'images/0000\.jpg' is listed more than once \(1 such rows\)",
        ),
        (
            "path,split\nimages/0000.jpg,training\n",
            r"split of 'images/0000\.jpg' is 'training' .* one of train, val, test",
        ),
        ("path,split\nimages/0000.jpg,\n", "is nan"),
        ("path,split\nimages/0000.jpg,val\n", "class 'Dress' has no image in train"),
        (
            "path,split\nimages/0000.jpg,train\nimages/0001.jpg,val\n",
            "test has no image",
        ),
        ("", r"split\.csv: is no CSV in UTF-8"),
        ('path,split\n"a', r"split\.csv: is no CSV in UTF-8"),
        ("path,split\na\nb,train,c\n", r"split\.csv: is no CSV in UTF-8"),
    ],
)
def test_split_file_that_does_not_fit_is_refused(
    tmp_path: Path, content: str, message: str
) -> None:
    file = tmp_path / "split.csv"
    file.write_text(content)
    with pytest.raises(DataError, match=message):
        assign_splits(
            table({"Dress": 5, "Hat": 5}), Split(method="file", file=str(file))
        )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.csv", "'.*none.csv' is not a file. Check the path"),
        ("binary.csv", "binary.csv: is no CSV in UTF-8"),
        ("text.parquet", "text.parquet: is no Parquet file"),
    ],
)
def test_split_file_that_cannot_be_read_is_refused(
    tmp_path: Path, name: str, message: str
) -> None:
    (tmp_path / "binary.csv").write_bytes(b"\xff\xd8\xff\xe0\0\x10\n" * 9)
    (tmp_path / "text.parquet").write_text("path,split\n")
    split = Split(method="file", file=str(tmp_path / name))
    with pytest.raises(DataError, match=message):
        assign_splits(table({"Dress": 5, "Hat": 5}), split)


def test_own_split_is_kept() -> None:
    own = ["train", "val", "test", "train"] * 2
    images = table({"Dress": 4, "Hat": 4}).assign(split=own)
    assigned = assign_splits(images.iloc[::-1], Split(method="own"))
    assert assigned["split"].to_list() == own


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (["train"] * 80 + ["test"] * 20, (70, 10, 20)),
        (["train"] * 80 + ["val"] * 20, (60, 20, 20)),
        (["train"] * 100, (70, 10, 20)),
    ],
)
def test_missing_part_of_an_own_split_is_taken_from_train(
    own: list[str], expected: tuple[int, int, int]
) -> None:
    images = table({"Dress": 100, "Hat": 100})
    images["split"] = own * 2
    given = images[images["split"] != "train"]
    assigned = assign_splits(images, Split(val=0.1, test=0.2))
    assert of("Dress", counts(assigned)) == of("Hat", counts(assigned))
    assert of("Dress", counts(assigned)) == list(expected)
    kept = assigned[assigned["path"].isin(given["path"])]
    assert kept["split"].to_list() == given["split"].to_list()


def test_groups_that_bind_are_kept_together_in_a_part_that_is_taken() -> None:
    images = table({"Dress": 100, "Hat": 100}, groups=40)
    in_test = images["group"].isin([f"sender {number}" for number in range(8)])
    images["split"] = in_test.map({True: "test", False: "train"})
    assigned = assign_splits(images, Split(val=0.1), groups_bind=True)
    assert (assigned["split"] == "val").sum() == 20
    assert group_overlap(assigned) == {"val": 0, "test": 0}


def test_train_of_an_own_split_that_is_too_small_to_share_is_told() -> None:
    images = table({"Dress": 20, "Hat": 20})
    images["split"] = (["train"] * 3 + ["test"] * 17) * 2
    with pytest.raises(DataError, match=r"has no val, and its train has too few .*20%"):
        assign_splits(images, Split(val=0.2))
    images["split"] = (["train"] + ["test"] * 19) * 2
    with pytest.raises(DataError, match="'Dress' has 1, 'Hat' has 1 images, and 2 are"):
        assign_splits(images, Split(val=0.01))


def test_auto_takes_the_own_split_or_keeps_groups_where_they_bind() -> None:
    images = table({"Dress": 40, "Hat": 40}, groups=20)
    split = Split(val=0.2, test=0.2)
    stratified = assign_splits(images, replace(split, method="stratified"))
    grouped = assign_splits(images, replace(split, method="grouped"))
    assert placed(assign_splits(images, split)) == placed(stratified)
    assert placed(assign_splits(images, split, groups_bind=True)) == placed(grouped)
    own = images.assign(split=["train", "val", "test", "train"] * 20)
    assert placed(assign_splits(own, split, groups_bind=True)) == placed(own)
    # Who asks for another split gets it.
    asked = assign_splits(own, replace(split, method="stratified"))
    assert placed(asked) == placed(stratified)


def test_own_split_that_is_none_is_refused() -> None:
    images = table({"Dress": 4, "Hat": 4})
    with pytest.raises(ConfigError, match="'own', but this data set has no split of"):
        assign_splits(images, Split(method="own"))
    with pytest.raises(
        DataError, match=r"the data set's own has 'query' \(8 such rows"
    ):
        assign_splits(images.assign(split="query"), Split(method="own"))


# The real photos


@pytest.mark.photos
def test_split_of_the_real_photos_never_changes(photos: Path) -> None:
    images = ClothingDataset(root=str(photos)).source.table
    assigned = assign_splits(images, Split())
    assert digest(assigned, ("path", "label", "split")) == "e3d510d99418acad"
    assert counts(assigned).sum().to_list() == [4182, 465, 516]
    assert of("Blouse", counts(assigned)) == [19, 2, 2]
    # Measured: 98 % of the test images come from a sender who is in train.
    assert group_overlap(assigned)["test"] == pytest.approx(0.98, abs=0.01)


@pytest.mark.photos
@pytest.mark.parametrize("seed", range(3))
def test_real_senders_can_be_kept_apart(photos: Path, seed: int) -> None:
    images = ClothingDataset(root=str(photos)).source.table
    assigned = assign_splits(images, Split(method="grouped", seed=seed))
    assert group_overlap(assigned) == {"val": 0, "test": 0}
    shares = counts(assigned).sum() / len(images)
    assert shares["test"] == pytest.approx(0.10, abs=0.015)
    assert shares["val"] == pytest.approx(0.09, abs=0.015)
