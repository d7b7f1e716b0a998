import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from clothing_lightning.errors import DataError
from clothing_lightning.metrics.classification_report import (
    class_names,
    confident_mistakes,
    confused_pairs,
    confusion_matrix,
    per_class,
    summary,
)

NAMES = ["T-Shirt", "Dress/Gown", "Not sure", "日本", "Hat", "Shoes", "Polo"]


def table(labels: list[str], rows: list[list[float]], names: list[str]) -> pd.DataFrame:
    paths = [f"images/{index}.jpg" for index in range(len(labels))]
    leading = pd.DataFrame({"path": paths, "label": labels})
    return pd.concat([leading, pd.DataFrame(rows, columns=names)], axis=1)


def random_table(
    seed: int, labelled: list[str], names: list[str] = NAMES
) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    labels = [str(label) for label in generator.choice(labelled, 200)]
    rows = generator.dirichlet(np.full(len(names), 0.5), 200)
    return table(labels, rows.tolist(), names)


@pytest.fixture
def small() -> pd.DataFrame:
    """Two hits, three mistakes; no Hat exists, no Shirt is ever predicted."""
    return table(
        ["Dress", "Dress", "Shirt", "Shirt", "Dress"],
        [
            [0.7, 0.2, 0.1],
            [0.2, 0.1, 0.7],
            [0.9, 0.1, 0.0],
            [0.6, 0.4, 0.0],
            [0.5, 0.0, 0.5],
        ],
        ["Dress", "Shirt", "Hat"],
    )


def predicted_names(predictions: pd.DataFrame) -> list[str]:
    return [str(name) for name in predictions.iloc[:, 2:].idxmax(axis=1)]


def test_class_names_are_the_columns_in_their_order() -> None:
    assert class_names(random_table(0, NAMES)) == NAMES


@pytest.mark.parametrize("labelled", [NAMES, NAMES[:3], NAMES[2:3]])
def test_confusion_matrix_equals_scikit_learn(labelled: list[str]) -> None:
    predictions = random_table(1, labelled)
    matrix = confusion_matrix(predictions)
    expected = metrics.confusion_matrix(
        predictions["label"], predicted_names(predictions), labels=NAMES
    )
    np.testing.assert_array_equal(matrix.to_numpy(), expected)
    assert list(matrix.index) == list(matrix.columns) == NAMES
    assert (matrix.index.name, matrix.columns.name) == ("true", "predicted")


@pytest.mark.parametrize("labelled", [NAMES, NAMES[:3]])
def test_per_class_equals_scikit_learn(labelled: list[str]) -> None:
    predictions = random_table(2, labelled)
    expected = metrics.precision_recall_fscore_support(
        predictions["label"],
        predicted_names(predictions),
        labels=NAMES,
        zero_division=np.nan,
    )
    scores = per_class(predictions)
    np.testing.assert_allclose(scores.to_numpy().T, np.stack(expected), atol=1e-12)
    assert list(scores.columns) == ["precision", "recall", "f1", "support"]
    assert scores["support"].dtype.kind == "i"


def test_per_class_is_nan_where_undefined(small: pd.DataFrame) -> None:
    small.loc[1, ["Dress", "Shirt", "Hat"]] = [0.7, 0.2, 0.1]
    scores = per_class(small)
    np.testing.assert_allclose(scores.loc["Dress"], [3 / 5, 1, 6 / 8, 3])
    np.testing.assert_allclose(scores.loc["Shirt"], [np.nan, 0, 0, 2])
    np.testing.assert_allclose(scores.loc["Hat"], [np.nan, np.nan, np.nan, 0])


def test_f1_of_an_absent_class_that_is_predicted_is_zero(small: pd.DataFrame) -> None:
    scores = per_class(small)
    np.testing.assert_allclose(scores.loc["Hat"], [0, np.nan, 0, 0])


@pytest.mark.parametrize("labelled", [NAMES, NAMES[:3]])
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_summary_equals_scikit_learn(labelled: list[str]) -> None:
    predictions = random_table(3, labelled)
    true, predicted = predictions["label"], predicted_names(predictions)
    order = sorted(NAMES)
    probabilities = predictions[order].to_numpy()
    f1 = {
        name: metrics.f1_score(
            true, predicted, labels=labels, average="macro", zero_division=0
        )
        for name, labels in (("present", labelled), ("all", NAMES))
    }
    expected = {
        "accuracy": metrics.accuracy_score(true, predicted),
        "top3": metrics.top_k_accuracy_score(true, probabilities, k=3, labels=order),
        "top5": metrics.top_k_accuracy_score(true, probabilities, k=5, labels=order),
        "macro_f1": f1["present"],
        "macro_f1_all": f1["all"],
        "balanced_accuracy": metrics.balanced_accuracy_score(true, predicted),
        "mcc": metrics.matthews_corrcoef(true, predicted),
        "loss_unweighted": metrics.log_loss(true, probabilities, labels=order),
    }
    assert summary(predictions) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_summary_of_a_hand_computed_case(small: pd.DataFrame) -> None:
    # Predicted: Dress, Hat, Dress, Dress, and Dress before Hat at 0.5 each.
    f1_dress = 2 * 2 / (3 + 4)
    assert summary(small) == pytest.approx(
        {
            "accuracy": 2 / 5,
            "macro_f1": f1_dress / 2,
            "macro_f1_all": f1_dress / 3,
            "balanced_accuracy": (2 / 3 + 0) / 2,
            # Covariances of true (3, 2, 0) and predicted (4, 0, 1) counts, 5 images.
            "mcc": (2 * 5 - 3 * 4) / math.sqrt((25 - 13) * (25 - 17)),
            "loss_unweighted": -math.log(0.7 * 0.2 * 0.1 * 0.4 * 0.5) / 5,
        }
    )


@pytest.mark.parametrize(
    ("classes", "keys"),
    [(3, set()), (4, {"top3"}), (5, {"top3"}), (6, {"top3", "top5"})],
)
def test_top_k_needs_more_classes_than_k(classes: int, keys: set[str]) -> None:
    names = NAMES[:classes]
    assert {"top3", "top5"} & set(summary(random_table(4, names, names))) == keys


@pytest.mark.parametrize(("label", "top3"), [("a", 1), ("c", 1), ("d", 0)])
def test_equal_probabilities_rank_in_class_order(label: str, top3: float) -> None:
    predictions = table([label], [[0.25] * 4], ["a", "b", "c", "d"])
    assert summary(predictions)["top3"] == top3
    assert summary(predictions)["accuracy"] == (label == "a")


def test_loss_of_an_impossible_label_is_finite() -> None:
    predictions = table(["b"], [[1.0, 0.0]], ["a", "b"])
    smallest = float(np.finfo(np.float32).tiny)
    assert summary(predictions)["loss_unweighted"] == -math.log(smallest)


def test_float32_probabilities_are_averaged_in_double_precision() -> None:
    predictions = random_table(5, NAMES).astype(dict.fromkeys(NAMES, np.float32))
    wide = predictions.astype(dict.fromkeys(NAMES, np.float64))
    assert summary(predictions) == summary(wide)


def test_table_without_images_has_no_numbers(small: pd.DataFrame) -> None:
    empty = small.iloc[:0]
    assert all(math.isnan(value) for value in summary(empty).values())
    assert confusion_matrix(empty).to_numpy().sum() == 0
    assert len(confused_pairs(empty)) == len(confident_mistakes(empty, 5)) == 0


def test_confused_pairs_of_a_hand_computed_case(small: pd.DataFrame) -> None:
    expected = pd.DataFrame(
        {
            "true": ["Shirt", "Dress"],
            "predicted": ["Dress", "Hat"],
            "count": [2, 1],
            "share": [1.0, 1 / 3],
        }
    )
    pd.testing.assert_frame_equal(confused_pairs(small), expected, check_dtype=False)


def test_equally_frequent_pairs_are_in_class_order() -> None:
    names = ["z", "m", "a"]
    one_hot = {name: [float(name == other) for other in names] for name in names}
    taken_for = [("a", "m"), ("m", "a"), ("z", "a"), ("z", "m"), ("m", "z")]
    predictions = table(
        [true for true, _ in taken_for],
        [one_hot[predicted] for _, predicted in taken_for],
        names,
    )
    pairs = confused_pairs(predictions)
    found = list(zip(pairs["true"], pairs["predicted"], strict=True))
    assert found == [("z", "m"), ("z", "a"), ("m", "z"), ("m", "a"), ("a", "m")]


def test_confident_mistakes_come_in_order_of_confidence(small: pd.DataFrame) -> None:
    mistakes = confident_mistakes(small, 2)
    assert mistakes.to_dict("list") == {
        "path": ["images/2.jpg", "images/1.jpg"],
        "label": ["Shirt", "Dress"],
        "predicted": ["Dress", "Hat"],
        "probability": [0.9, 0.7],
    }
    assert len(confident_mistakes(small, 99)) == 3
    assert len(confident_mistakes(small, 0)) == 0


def test_equally_confident_mistakes_keep_the_order_of_the_table() -> None:
    predictions = table(["b"] * 30, [[0.8, 0.2]] * 30, ["a", "b"])
    paths = confident_mistakes(predictions, 30)["path"]
    assert paths.tolist() == predictions["path"].tolist()


def test_negative_limit_is_refused(small: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="limit is -1"):
        confident_mistakes(small, -1)


@pytest.mark.parametrize("index", [[3, 1, 4, 1, 5], list("edcba")])
def test_index_of_the_table_does_not_matter(
    small: pd.DataFrame, index: list[int] | list[str]
) -> None:
    other = small.set_axis(index, axis=0)
    assert summary(other) == summary(small)
    pd.testing.assert_frame_equal(
        confident_mistakes(other, 9), confident_mistakes(small, 9)
    )


@pytest.mark.parametrize("columns", [["label", "path", "a"], ["path", "label"]])
def test_table_with_other_columns_is_refused(columns: list[str]) -> None:
    with pytest.raises(DataError, match="expected 'path', 'label' and then"):
        class_names(pd.DataFrame(columns=columns))


def test_label_that_is_no_class_is_refused_with_its_path(small: pd.DataFrame) -> None:
    small.loc[3, "label"] = "Hoodie"
    with pytest.raises(DataError, match=r"'images/3.jpg' has the label 'Hoodie'"):
        confusion_matrix(small)


def test_probabilities_that_are_not_finite_are_refused(small: pd.DataFrame) -> None:
    small.loc[[1, 4], "Hat"] = np.nan
    with pytest.raises(DataError, match=r"2 of 5 images, first for 'images/1.jpg'"):
        summary(small)


def test_import_needs_neither_torch_nor_matplotlib() -> None:
    code = (
        "import sys, clothing_lightning.metrics.classification_report;"
        "sys.exit(any(m in sys.modules for m in ('torch', 'matplotlib', 'mlflow')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
