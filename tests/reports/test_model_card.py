"""The card of an export: true whatever its names are, and readable by Hugging Face."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from clothing_lightning.data.options import Preprocessing
from clothing_lightning.metrics.calibration import tempering
from clothing_lightning.metrics.selective import Calibration
from clothing_lightning.models.description import NetworkDescription
from clothing_lightning.reports.model_card import CardFacts, model_card

NAMES = ["T-Shirt | Top", "a < b", "two\nlines", "---\nlibrary_name: x", "Größe"]
IMAGES = [40, 35, 5, 1, 0]  # of each class in the test


def facts(names: list[str] = NAMES, **changes: Any) -> CardFacts:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(names)), IMAGES[: len(names)])
    scores = rng.random((len(labels), len(names)), dtype=np.float32) / 2
    scores[np.arange(len(labels)), labels] += rng.random(len(labels)).round()
    scores /= scores.sum(axis=1, keepdims=True)
    paths = [f"{row:03}.jpg" for row in range(len(labels))]
    predictions = pd.DataFrame({"path": paths, "label": [names[k] for k in labels]})
    predictions[names] = scores
    counts = pd.DataFrame({"train": 50, "val": 5, "test": 10}, index=names)
    description = NetworkDescription(
        "resnet18", names, Preprocessing(), run_id="f" * 32, run_name="a | b"
    )
    card = CardFacts(
        description=description,
        predictions=predictions,
        counts=counts,
        data="my photos",
        split_digest="0123",
        test_digest="4567",
        shared_groups=None,
        library="onnxruntime",
        check="the same class for 81 of 81 test images",
        stored_check="In the test that was stored, 81 of these 81 are the same.",
        weights_licence="apache-2.0",
        data_licence=None,
        usage="import this\nprint('<', \"|\")",
    )
    return replace(card, **changes)


def head(card: str) -> Any:
    nothing, text, _ = card.split("---\n", 2) if card.startswith("---\n") else ("",) * 3
    assert not nothing
    return yaml.safe_load(text)


def rows(card: str, heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without those of its head."""
    lines = card[card.index(heading) :].splitlines()[2:]
    table = lines[: next((k for k, row in enumerate(lines) if row[:1] != "|"), None)]
    return [row.replace(r"\|", "/").strip("| ").split(" | ") for row in table]


@pytest.mark.parametrize(
    ("run_name", "data"),
    [
        ("a: b", "c: d"),
        ("---", "{x}"),
        ("'\n\"", "é\n---\nx: 1"),
        ("", "#"),
        ("1", "no"),
    ],
)
def test_the_head_is_yaml_whatever_the_names_are(run_name: str, data: str) -> None:
    described = replace(facts().description, run_name=run_name)
    content = head(model_card(facts(description=described, data=data)))
    assert content["library_name"] == "onnxruntime"
    assert content["pipeline_tag"] == "image-classification"
    (model,) = content["model-index"]
    assert model["name"] == (" ".join(run_name.split()) or "model")
    (result,) = model["results"]
    assert result["dataset"]["name"] == " ".join(data.split())
    assert {each["type"] for each in result["metrics"]} == {"accuracy", "macro_f1"}
    assert "license" not in content


def test_every_class_has_a_row_whatever_it_is_called() -> None:
    table = rows(model_card(facts()), "| class |")
    assert len(table) == len(NAMES)
    assert all(len(cells) == 6 for cells in table)
    names = [cells[0].replace("\\", "") for cells in table]
    assert names == [" ".join(name.split()).replace("|", "/") for name in NAMES]
    assert [int(cells[4]) for cells in table] == IMAGES
    assert all(cells[5] == "50" for cells in table)
    assert table[4][2] == "-"  # there is no recall without images


def test_names_are_no_markup() -> None:
    card = model_card(facts(["<script>", "[x](http://y)", "`code`"]))
    assert r"\<script>" in card
    assert r"\[x](http://y)" in card
    assert r"\`code\`" in card


def test_metrics_have_intervals() -> None:
    predictions = facts().predictions
    hits = predictions[NAMES].idxmax(axis=1) == predictions["label"]
    table = {row[0]: row[1:] for row in rows(model_card(facts()), "| metric |")}
    value, interval = table["accuracy"]
    assert value == f"{hits.mean():.3f}"
    least, most = map(float, interval.split(" to "))
    assert least < hits.mean() < most


def test_the_temperature_is_told_with_its_effect() -> None:
    assert "temperature" not in model_card(facts())
    calibration = Calibration(1.5, 40, ((0.0, 40, 30),))
    about = replace(facts().description, calibration=calibration)
    effect = tempering(facts().predictions, 1.5)
    line = (
        "temperature of 1.5, fitted on 40 validation images, before softmax makes "
        "probabilities of them; on the test images the expected calibration error is "
        f"{effect['error_after']:.3f} with it and {effect['error_before']:.3f} without."
    )
    assert line in model_card(facts(description=about))


def test_classes_of_few_images_are_named_as_such() -> None:
    card = model_card(facts())
    assert r"3 classes, with fewer than 30 test images: two lines, " in card
    assert "T-Shirt" not in card[card.index("fewer than 30") :].partition("\n")[0]
    enough = facts(NAMES[:2])
    assert "fewer than" not in model_card(enough)


def test_groups_that_the_training_knows_are_told() -> None:
    assert "roup" not in model_card(facts())
    card = model_card(facts(shared_groups=0.914))
    assert "of which 91% are of a group (such as a sender)" in card
    assert "- Groups (such as senders) that it has never seen: 91% of" in card
    assert "roup" not in model_card(facts(shared_groups=0.0))


def test_licences_stand_in_the_text() -> None:
    card = model_card(facts(data_licence="CC0 1.0"))
    assert "- Weights that the training began with: apache-2.0\n" in card
    assert "- Data: CC0 1.0\n" in card
    assert "- Data: not known; ask where they are from.\n" in model_card(facts())


def test_code_stands_as_it_is() -> None:
    card = model_card(facts())
    assert card.endswith("\n```python\nimport this\nprint('<', \"|\")\n```\n")


def test_each_heading_stands_by_itself() -> None:
    lines = model_card(facts()).splitlines()
    headings = [k for k, line in enumerate(lines) if line.startswith("#")]
    assert len(headings) == 6
    assert all(not lines[k - 1] and not lines[k + 1] for k in headings)
    assert all(line == line.rstrip() for line in lines)
    assert "\n\n\n" not in model_card(facts())
