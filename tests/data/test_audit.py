"""What an audit finds in small tables."""

from typing import Any

import pandas as pd
import pytest

from clothing_lightning.data.audit import Audit, Source, audit, leaked, size_facts
from clothing_lightning.data.audit_issues import Issue, issues
from clothing_lightning.data.near_duplicates import NearDuplicates

NEAR = ["path_a", "path_b", "distance", "mirrored", "similarity"]


def table(rows: list[tuple[str, str, str, str]]) -> pd.DataFrame:
    """Path, label, split and SHA-256."""
    return pd.DataFrame(rows, columns=["path", "label", "split", "sha256"])


def near(*pairs: tuple[str, str]) -> NearDuplicates:
    rows = [(one, other, 4, False, 0.97) for one, other in pairs]
    return NearDuplicates(pd.DataFrame(rows, columns=NEAR), len(rows), len(rows))


def look(rows: pd.DataFrame, pairs: NearDuplicates | None = None, **more: Any) -> Audit:
    sizes = {"width": 300, "height": 400, "phash": "0" * 16}
    options: dict[str, Any] = {
        "inspected": pd.DataFrame(sizes, index=rows["path"]),
        "unreadable": pd.DataFrame(columns=["path", "label", "reason"]),
        "findings": {},
    }
    return audit(Source("set", "root", rows, near=pairs or near(), **options | more))


def said(found: Audit, words: str) -> Issue:
    """The one issue that has these words."""
    (issue,) = [issue for issue in issues(found) if words in issue.what]
    return issue


ROWS = [
    ("a", "Hat", "train", "1"),
    ("b", "Hat", "test", "1"),
    ("c", "Dress", "train", "2"),
    ("d", "Dress", "val", "3"),
    ("e", "Hat", "train", "4"),
    ("f", "Dress", "test", "5"),
]


def plenty(labels: dict[str, int]) -> pd.DataFrame:
    """Different images, a fifth each for val and test."""
    splits = ["train", "train", "train", "val", "test"]
    rows = [
        (f"{label}{n}", label, splits[n % 5], f"{label}{n}")
        for label, count in labels.items()
        for n in range(count)
    ]
    return table(rows)


def test_nothing_odd_is_nothing_said() -> None:
    found = look(plenty({"Dress": 60, "Hat": 60}))
    assert issues(found) == []
    assert found.pairs.empty
    assert found.duplicates.empty
    assert list(found.counts.loc["Hat"]) == [36, 12, 12]


def test_identical_files_in_train_and_test_are_a_leak() -> None:
    found = look(table(ROWS))
    assert found.leaks["identical"] == {"val": 0, "test": 1}
    issue = said(found, "the same file as one that is trained on")
    assert issue.weight == "put right"
    assert issue.what.startswith("1 of the test images is")
    assert "--data.init_args.drop_duplicates true" in issue.todo


def test_near_duplicates_leak_through_copies_of_copies() -> None:
    """d is like b, whose file is a's: so d has been trained on."""
    found = look(table(ROWS), near(("a", "d"), ("d", "f")))
    assert found.leaks["identical"] == {"val": 0, "test": 1}
    assert found.leaks["nearly"] == {"val": 1, "test": 2}
    issue = said(found, "nearly the same picture as one that is trained on")
    assert issue.what.startswith("1 of the val and 1 of the test images are")


def test_pairs_with_different_labels_come_first_then_those_that_straddle() -> None:
    found = look(table(ROWS), near(("a", "e"), ("c", "d"), ("a", "f")))
    assert list(zip(found.pairs["path_a"], found.pairs["path_b"], strict=True)) == [
        ("a", "f"),
        ("a", "b"),
        ("c", "d"),
        ("a", "e"),
    ]
    assert found.pairs["labels_differ"].tolist() == [True, False, False, False]
    assert found.pairs["straddles"].tolist() == [True, True, True, False]
    assert len(found.near_table) == 3
    assert list(found.near_table)[:4] == ["path_a", "path_b", "distance", "similarity"]
    assert said(found, "1 pair of nearly identical images is labelled").todo


def test_same_file_with_two_labels_is_to_be_put_right() -> None:
    rows = [*ROWS, ("g", "Dress", "train", "4")]
    issue = said(look(table(rows)), "1 file is there again with another label")
    assert issue.weight == "put right"
    assert "corrections.csv" in issue.todo


def test_duplicates_are_numbered_by_set() -> None:
    rows = [*ROWS, ("g", "Dress", "train", "2"), ("h", "Hat", "train", "1")]
    found = look(table(rows)).duplicates
    assert found["set"].tolist() == [1, 1, 1, 2, 2]
    assert found["path"].tolist() == ["a", "b", "h", "c", "g"]


def test_groups_on_both_sides_are_told_by_their_name() -> None:
    rows = plenty({"Dress": 60, "Hat": 60}).assign(group="me")
    issue = said(look(rows, group_noun="sender"), "100% of the val")
    assert "from a sender whose images are trained on" in issue.what
    assert "--data.init_args.split.method grouped" in issue.todo
    rows["group"] = rows["split"]
    assert issues(look(rows)) == []


def test_unreadable_images_come_first() -> None:
    bad = pd.DataFrame({"path": ["x"], "label": ["Hat"], "reason": ["is empty"]})
    first = issues(look(table(ROWS), unreadable=bad))[0]
    assert first.what == "1 image cannot be read."
    assert "--data.init_args.on_unreadable drop" in first.todo


def test_without_a_split_classes_are_counted_all_the_same() -> None:
    rows = table(ROWS).drop(columns="split")
    found = look(rows, split_error="split: 'Hat' has too few.")
    assert found.counts["all"].to_dict() == {"Dress": 3, "Hat": 3}
    assert issues(found)[0] == Issue(
        "put right", "There is no split.", "split: 'Hat' has too few."
    )
    assert not found.pairs["straddles"].any()


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"Dress": 60, "Hat": 20}, "Classes with fewer than 50 images: Hat (20)."),
        ({"Dress": 660, "Hat": 60}, "The largest class, Dress (660), has 11 times"),
        ({"T-Shirt": 60, "t shirt": 60}, "nearly the same: T-Shirt, t shirt."),
    ],
)
def test_odd_classes_are_named(labels: dict[str, int], words: str) -> None:
    assert len(issues(look(plenty(labels)))) == 1
    assert said(look(plenty(labels)), words)


def test_classes_with_few_test_images_are_named() -> None:
    rows = plenty({"Dress": 60, "Hat": 60})
    hats = (rows["label"] == "Hat") & (rows["split"] == "test")
    rows.loc[hats[hats].index[5:], "split"] = "train"
    assert said(look(rows), "Classes with fewer than 10 test images: Hat (5).")


def test_columns_of_the_data_set_called_like_ours_are_slices() -> None:
    found = look(table(ROWS).assign(width="wide", height="tall"))
    assert set(found.images["width"]) == {300}


def test_small_and_long_images_are_counted() -> None:
    rows = plenty({"Dress": 60, "Hat": 60})
    sizes = pd.DataFrame({"width": 400, "height": 400, "phash": ""}, index=rows["path"])
    sizes.iloc[0, :2] = [111, 400]
    sizes.iloc[1, :2] = [112, 112]
    found = look(rows, inspected=sizes)
    small = said(found, "1 image is far smaller than the network's 224 px")
    assert "larger copies" in small.todo
    assert said(found, "1 image is somewhat smaller than the network's 224 px")
    assert said(found, "1 image is more than 3 times as long as wide")


def test_where_all_images_are_small_a_size_is_proposed() -> None:
    rows = plenty({"Dress": 60, "Hat": 60})
    sizes = pd.DataFrame({"width": 60, "height": 80, "phash": ""}, index=rows["path"])
    issue = said(look(rows, inspected=sizes), "120 images are far smaller")
    assert "--data.init_args.image_size 32" in issue.todo


def test_what_the_data_module_left_out_is_told() -> None:
    findings = {"rows": 9, "rows without an image": 2, "images without a row": 0}
    found = look(plenty({"Dress": 60, "Hat": 60}), findings=findings)
    assert [issue.what for issue in issues(found)] == ["2 rows without an image."]
    assert [issue.weight for issue in issues(found)] == ["look at"]


def test_unlooked_at_candidates_are_told() -> None:
    some = NearDuplicates(pd.DataFrame(columns=NEAR), candidates=9, looked_at=3)
    found = look(plenty({"Dress": 60, "Hat": 60}), some)
    assert said(found, "Of 9 pairs of look-alikes, the 3 closest were compared.")


def test_leaks_count_images_and_not_sets() -> None:
    rows = table([("a", "", "train", ""), ("b", "", "val", ""), ("c", "", "val", "")])
    assert leaked(rows, pd.Series([0, 0, 0])) == {"val": 2, "test": 0}
    assert leaked(rows, pd.Series([0, 1, 1])) == {"val": 0, "test": 0}


def test_sizes_are_ordered_by_area() -> None:
    images = pd.DataFrame({"width": [900, 10, 50], "height": [100, 20, 50]})
    images["short_px"] = images.min(axis=1)
    images["ratio"] = [9.0, 2.0, 1.0]
    facts = size_facts(images)
    assert (facts["smallest"], facts["median"]) == ("10 x 20", "50 x 50")
    assert (facts["largest"], facts["largest_ratio"]) == ("900 x 100", 9)
    assert facts["short_side_p50_px"] == 50
