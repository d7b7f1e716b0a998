"""Runs of made-up predictions: who is compared with whom, and on which images."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from clothing_lightning.comparison.pooling import pool
from clothing_lightning.comparison.predictions import RunPredictions
from clothing_lightning.errors import DataError

CLASSES = ("Dress", "Hat", "Shirt")


def label_of(image: int) -> str:
    return CLASSES[image % 3]


def run(  # one argument a trait
    name: str,
    test: Sequence[int],
    *,
    right: Sequence[int] | None = None,
    train: Sequence[int] = (),
    seeds: str = "seed 0",
    fold: str = "",
    settings: Mapping[str, str] | None = None,
    classes: Sequence[str] = CLASSES,
    labels: Mapping[int, str] | None = None,
    preprocessing: str = "224 px",
    folder: str = "images",
) -> RunPredictions:
    """A run that is right about some of its test images, by default about all."""
    right = test if right is None else right
    label = {image: label_of(image) for image in (*test, *train)} | dict(labels or {})
    scores = np.full((len(test), len(classes)), 0.1, np.float32)
    for row, image in enumerate(test):
        place = list(classes).index(label[image]) if label[image] in classes else 0
        scores[row, place if image in right else place - 1] = 0.8
    paths = [f"{folder}/{image}.jpg" for image in test]
    predictions = pd.DataFrame(
        {
            "path": paths,
            "label": [label[image] for image in test],
            **{name: scores[:, n] for n, name in enumerate(classes)},
        }
    )
    rows = [(image, "test") for image in test] + [(image, "train") for image in train]
    manifest = pd.DataFrame(
        {
            "path": [f"{folder}/{image}.jpg" for image, _ in rows],
            "sha256": [f"{image:064x}" for image, _ in rows],
            "split": [split for _, split in rows],
            "kids": ["True" if image % 2 else "False" for image, _ in rows],
        }
    )
    digits = f"{abs(hash((name, seeds, fold, tuple(test)))):032x}"
    return RunPredictions(
        run_id=digits[-32:],
        name=name,
        hyperparameters={"model": name} if settings is None else settings,
        seeds=seeds,
        fold=fold,
        predictions=predictions,
        manifest=manifest,
        preprocessing=preprocessing,
    )


def test_runs_that_were_tested_alike_are_compared_on_all_images() -> None:
    found = pool([run("a", range(9)), run("b", range(9), right=range(6))])
    assert [model.title for model in found.models] == ["a", "b"]
    assert len(found.images) == 9
    assert found.remarks == ()
    rights = found.rights(found.models[1])
    assert rights.shape == (1, 9)
    assert rights.sum() == 6


def test_images_go_by_content_not_by_path_or_order() -> None:
    other = run("b", [2, 1, 0], folder="elsewhere", right=[2])
    found = pool([run("a", [0, 1, 2]), other])
    assert list(found.images["path"]) == [f"images/{n}.jpg" for n in range(3)]
    assert found.rights(found.models[1]).tolist() == [[0, 0, 1]]


def test_classes_go_by_name_not_by_order() -> None:
    other = run("b", range(6), classes=("Shirt", "Dress", "Hat"), right=[0, 1])
    found = pool([run("a", range(6)), other])
    assert found.class_names == list(CLASSES)
    assert found.remarks == ()
    assert found.rights(found.models[1]).tolist() == [[1, 1, 0, 0, 0, 0]]


def test_runs_that_differ_by_seed_are_one_model() -> None:
    seeds = [
        run(f"a-seed{n}", range(6), seeds=f"seed {n}", settings={}) for n in (0, 1)
    ]
    found = pool(seeds)
    assert [model.title for model in found.models] == ["a"]
    assert len(found.models[0].repeats) == 2


def test_each_seed_may_have_a_split_of_its_own() -> None:
    splits = {0: range(6), 1: range(3, 9)}
    runs = [
        run(f"{name}-seed{n}", test, seeds=f"seed {n}", settings={"model": name})
        for name in ("a", "b")
        for n, test in splits.items()
    ]
    found = pool(runs)
    assert found.remarks == ()
    assert len(found.tests) == 2
    assert len(found.images) == 9
    assert np.isfinite(found.rights(found.models[0])).sum() == 12


def test_folds_are_pooled() -> None:
    parts = [range(3), range(3, 6)]
    folds = [
        run(f"a, fold {n} of 2", part, fold=f"{n} of 2", settings={})
        for n, part in enumerate(parts, 1)
    ]
    found = pool([*folds, run("b", range(6))])
    assert found.remarks == ()
    assert [len(model.repeats) for model in found.models] == [1, 1]
    assert len(found.models[0].runs) == 2
    assert len(found.images) == 6


def test_the_same_run_again_counts_once() -> None:
    newer, older = (run("a", range(6), right=range(n)) for n in (6, 3))
    found = pool([newer, older])
    assert len(found.models[0].repeats) == 1
    assert found.rights(found.models[0]).sum() == 6
    assert "which is newer. It is left out." in found.remarks[0]


def test_different_test_splits_are_compared_on_shared_images_with_a_warning() -> None:
    found = pool([run("a", range(6)), run("b", range(3, 9))])
    assert len(found.images) == 3
    assert "tested on different images (a 6, b 6)" in found.remarks[0]
    assert "compared on the 3 that all of them tested. So few" in found.remarks[0]


def test_of_many_test_sets_those_that_all_models_share_are_kept() -> None:
    alone = run("a-seed1", range(3, 9), seeds="seed 1", settings={"model": "a"})
    found = pool([run("a", range(6)), alone, run("b", range(6))])
    assert len(found.images) == 6
    assert "compared on the test sets that they have in common" in found.remarks[0]
    assert f"left out: a-seed1 ({alone.run_id[:8]})." in found.remarks[0]


def test_images_that_another_run_trained_on_are_named() -> None:
    first = run("a", range(6), train=range(6, 12))
    other = run("b", range(3, 9), train=range(3))
    found = pool([first, other])
    told = found.remarks[-1]
    assert "Trained on what others are tested on:" in told
    assert "a on 3 images of b's test" in told
    assert "b on 3 images of a's test" in told


def test_an_image_in_both_train_and_test_of_a_run_is_left_out_for_all() -> None:
    leaking = run("a", range(6), train=[5, 6, 7])
    found = pool([leaking, run("b", range(6))])
    assert len(found.images) == 5
    assert "tested on 1 image that it had learnt from" in found.remarks[-1]
    assert "images/5.jpg" in found.remarks[-1]


def test_runs_without_a_common_image_are_refused_and_sorted_out() -> None:
    runs = [run("a", range(3)), run("b", range(3)), run("c", range(6, 9))]
    with pytest.raises(DataError, match=r"no image was tested by all.*: a, b; c\."):
        pool(runs)


def test_of_runs_without_a_common_class_the_reason_is_told() -> None:
    runs = [
        run("a", [0, 3], classes=CLASSES[:1]),
        run("b", [1, 4], classes=CLASSES[1:]),
    ]
    with pytest.raises(DataError, match="do not choose among the same classes"):
        pool(runs)


def test_images_with_different_labels_are_left_out() -> None:
    other = run("b", range(6), labels={0: "Hat"})
    found = pool([run("a", range(6)), other])
    assert len(found.images) == 5
    assert (
        "1 image has different labels in different runs, such as Dress, Hat"
        in (found.remarks[0])
    )


def test_a_class_that_not_all_know_is_left_out() -> None:
    fewer = run("b", [0, 1, 3, 4], classes=("Dress", "Hat"))
    found = pool([run("a", range(6)), fewer])
    assert set(found.images["label"]) == {"Dress", "Hat"}
    assert "not all know Shirt" in found.remarks[0]


def test_other_preprocessing_of_the_test_images_is_told() -> None:
    runs = [run("a", range(6)), run("b", range(6), preprocessing="176 px")]
    assert "224 px (a); 176 px (b)" in pool(runs).remarks[0]


def test_costs_are_medians_over_the_runs() -> None:
    """One run that was disturbed says nothing of a cost; equal values stay equal."""
    runs = [
        replace(
            run(f"a-seed{n}", range(6), seeds=f"seed {n}", settings={}),
            metrics={"model/size_mb": 13.74472, "train/time_s": time},
        )
        for n, time in enumerate((10.0, 11.0, 90.0, 12.0, 10.5))
    ]
    (model,) = pool(runs).models
    assert model.metric("model/size_mb") == 13.74472
    assert model.metric("train/time_s") == 11.0
    assert np.isnan(model.metric("model/macs"))


def test_training_on_different_machines_is_told() -> None:
    b = replace(run("b", range(6)), machine="NVIDIA H100")
    told = pool([replace(run("a", range(6)), machine="cpu, 2 threads"), b]).remarks
    assert told == (
        "Training times are of different machines: cpu, 2 threads (a); "
        "NVIDIA H100 (b).",
    )


def test_other_images_with_the_same_settings_and_seeds_are_told() -> None:
    """Parts of two data sets, which nothing but their images tells apart."""
    runs = [run("a", range(6)), run("a", range(6, 12))]
    told = pool(runs).remarks
    assert "have the same settings and seeds, and other test images" in told[0]


def test_what_manifests_say_comes_along() -> None:
    found = pool([run("a", range(6))])
    assert list(found.images["kids"]) == ["False", "True"] * 3


def test_an_image_that_the_manifest_lacks_is_told() -> None:
    broken = run("a", range(6))
    manifest = broken.manifest[1:]
    values = {**broken.__dict__, "manifest": manifest}
    values = {
        k: v for k, v in values.items() if k in RunPredictions.__dataclass_fields__
    }
    with pytest.raises(DataError, match=r"'images/0.jpg' was tested, but its manifest"):
        pool([RunPredictions(**values)])


def test_no_run_is_told() -> None:
    with pytest.raises(DataError, match="no run has test predictions"):
        pool([])


def test_ties_go_to_the_first_class() -> None:
    tied = run("a", [0, 1])
    for name in CLASSES:
        tied.predictions[name] = np.float32(1 / 3)
    found = pool([tied])
    assert found.rights(found.models[0]).tolist() == [[1, 0]]
    assert found.rights(found.models[0], top=2).tolist() == [[1, 1]]


def test_on_shared_images_repeats_that_tested_all_of_them_are_kept() -> None:
    seeds = [
        run(f"a-seed{n}", range(6), right=range(3 * n), seeds=f"seed {n}", settings={})
        for n in range(3)
    ]
    found = pool([*seeds, run("b", range(3, 9))])
    a, b = found.models
    assert (len(a.repeats), len(b.repeats)) == (3, 1)
    assert found.rights(a).sum() == pytest.approx(3 / 3)


def test_repeats_that_did_not_test_all_shared_images_are_named() -> None:
    whole = run("a-seed0", range(6), seeds="seed 0", settings={})
    part = run("a-seed1", range(4), seeds="seed 1", settings={})
    found = pool([whole, part, run("b", range(9))])
    assert [len(model.repeats) for model in found.models] == [1, 1]
    told = f"did not test all of these: a-seed1 ({part.run_id[:8]})."
    assert told in found.remarks[-1]


def test_unequal_numbers_of_training_images_are_told() -> None:
    few = run("few", range(6), train=range(10, 20))
    many = run("many", range(6), train=range(10, 40))
    assert pool([few, many]).remarks == (
        "The models were trained on unequal numbers of images: few 10, many 30.",
    )


def test_a_fold_is_no_repeat_of_a_run_on_all_images() -> None:
    fold = run("a, fold 1 of 2", range(6), fold="1 of 2", settings={"fold": "one of 2"})
    whole = run("a, seed 0", range(6), settings={})
    titles = [model.title for model in pool([fold, whole]).models]
    assert titles == ["a (fold one of 2)", "a (fold unset)"]
